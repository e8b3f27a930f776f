import type { ComposeRule, OperatorRules } from './rule.ts'

const tidb = (component: string): ComposeRule => ({
  kind: 'TidbCluster',
  group: 'pingcap.com',
  when: `spec.${component}`,
  unless: [`spec.${component}.image`],
  image: `{spec.${component}.baseImage|pingcap/${component}}:{spec.${component}.version|spec.version}`,
})

export const postgres: OperatorRules = {
  operator: 'operators for PostgreSQL',
  source:
    'cloudnative-pg: internal/configuration; zalando/postgres-operator: docs/reference/operator_parameters.md; crunchydata: internal/config',
  composes: [
    {
      kind: 'Cluster',
      group: 'postgresql.cnpg.io',
      unless: ['spec.imageName', 'spec.imageCatalogRef'],
      image: '{env:POSTGRES_IMAGE_NAME}',
    },
    {
      kind: 'Pooler',
      group: 'postgresql.cnpg.io',
      unless: ['spec.template', 'spec.pgbouncer.image'],
      image: '{env:PGBOUNCER_IMAGE_NAME}',
    },
  ],
  unseen: [
    { kind: 'postgresql', group: 'acid.zalan.do', unless: ['spec.dockerImage'], knownBy: 'docker_image' },
    {
      kind: 'PostgresCluster',
      group: 'postgres-operator.crunchydata.com',
      unless: ['spec.image'],
      knownBy: 'RELATED_IMAGE_POSTGRES',
    },
  ],
}

export const databases: OperatorRules = {
  operator: 'operators for other databases and queues',
  source: 'the defaults of each operator, compiled in or in its variables',
  composes: [
    {
      kind: 'MongoDBCommunity',
      group: 'mongodbcommunity.mongodb.com',
      image:
        '{env:MONGODB_REPO_URL|docker.io/mongodb}/{env:MONGODB_IMAGE|mongodb-community-server}:{spec.version}-{env:MDB_IMAGE_TYPE|ubi8}',
    },
    {
      kind: 'InnoDBCluster',
      group: 'mysql.oracle.com',
      when: 'spec.version',
      image: '{spec.imageRepository|container-registry.oracle.com/mysql}/community-server:{spec.version}',
    },
    {
      kind: 'InnoDBCluster',
      group: 'mysql.oracle.com',
      when: 'spec.router.version',
      image:
        '{spec.imageRepository|container-registry.oracle.com/mysql}/community-router:{spec.router.version}',
    },
    tidb('pd'),
    tidb('tikv'),
    tidb('tidb'),
    tidb('tiflash'),
  ],
  unseen: [
    {
      kind: 'Kafka',
      group: 'kafka.strimzi.io',
      unless: ['spec.kafka.image'],
      knownBy: 'STRIMZI_KAFKA_IMAGES',
    },
    {
      kind: 'KafkaConnect',
      group: 'kafka.strimzi.io',
      unless: ['spec.image'],
      knownBy: 'STRIMZI_KAFKA_CONNECT_IMAGES',
    },
    {
      kind: 'KafkaMirrorMaker2',
      group: 'kafka.strimzi.io',
      unless: ['spec.image'],
      knownBy: 'STRIMZI_KAFKA_MIRROR',
    },
    {
      kind: 'KafkaBridge',
      group: 'kafka.strimzi.io',
      unless: ['spec.image'],
      knownBy: 'STRIMZI_DEFAULT_KAFKA_BRIDGE_IMAGE',
    },
    {
      kind: 'RabbitmqCluster',
      group: 'rabbitmq.com',
      unless: ['spec.image'],
      knownBy: 'DEFAULT_RABBITMQ_IMAGE',
    },
    { kind: 'MariaDB', group: 'k8s.mariadb.com', unless: ['spec.image'], knownBy: 'RELATED_IMAGE_MARIADB' },
    { kind: 'MongoDB', group: 'mongodb.com', knownBy: 'MONGODB_IMAGE' },
    { kind: 'CassandraDatacenter', group: 'cassandra.datastax.com', unless: ['spec.serverImage'] },
    { kind: 'K8ssandraCluster', group: 'k8ssandra.io', unless: ['spec.cassandra.serverImage'] },
    {
      kind: 'ClickHouseInstallation',
      group: 'clickhouse.altinity.com',
      unless: ['spec.templates.podTemplates'],
    },
    { kind: 'RedisFailover', group: 'databases.spotahome.com', unless: ['spec.redis.image'] },
    { kind: 'ZookeeperCluster', group: 'zookeeper.pravega.io', unless: ['spec.image'] },
    {
      kind: 'SolrCloud',
      group: 'solr.apache.org',
      unless: ['spec.solrImage.tag', 'spec.zookeeperRef.connectionInfo'],
    },
    {
      kind: 'Keycloak',
      group: 'k8s.keycloak.org',
      unless: ['spec.image'],
      knownBy: 'RELATED_IMAGE_KEYCLOAK',
    },
  ],
}
