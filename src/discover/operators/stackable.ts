import type { ComposeRule, OperatorRules } from './rule.ts'

/** `image` is that of the product; `at` the path of its selection in the resource. */
const product = (
  name: string,
  kinds: readonly string[],
  { image = name, at = 'spec.image', group = name }: { image?: string; at?: string; group?: string } = {},
): OperatorRules => ({
  operator: `Stackable operator for ${name}`,
  source:
    'github.com/stackabletech/zookeeper-operator 23.7 to 26.7: rust/operator-binary/src/zk_controller/validate.rs; stackabletech/operator-rs: product_image_selection',
  program: [`sdp/${name}-operator`, `stackable/${name}-operator`, `stackabletech/${name}-operator`],
  composes: kinds.map(
    (kind): ComposeRule => ({
      kind,
      group: `${group}.stackable.tech`,
      when: `${at}.productVersion`,
      unless: [`${at}.custom`],
      image: `{${at}.repo|env:IMAGE_REPOSITORY|oci.stackable.tech/sdp}/${image}:{${at}.productVersion}-stackable{${at}.stackableVersion|program.tag}`,
    }),
  ),
})

/** Every product of the Stackable Data Platform has an operator of its own; their versions are the same. */
export const stackable: readonly OperatorRules[] = [
  product('airflow', ['AirflowCluster']),
  product('druid', ['DruidCluster']),
  product('hbase', ['HbaseCluster']),
  product('hdfs', ['HdfsCluster'], { image: 'hadoop' }),
  product('hive', ['HiveCluster']),
  product('kafka', ['KafkaCluster']),
  product('nifi', ['NifiCluster']),
  product('opa', ['OpaCluster']),
  product('opensearch', ['OpenSearchCluster']),
  product('spark-k8s', ['SparkApplication'], { at: 'spec.sparkImage', group: 'spark' }),
  product('spark-k8s', ['SparkHistoryServer', 'SparkConnectServer'], { group: 'spark' }),
  product('superset', ['SupersetCluster']),
  product('trino', ['TrinoCluster']),
  product('zookeeper', ['ZookeeperCluster']),
]
