import type { ComposeRule, OperatorRules } from './rule.ts'

const mysqlGroup = 'mysql.oracle.com'
const oracle =
  '{spec.imageRepository|env:MYSQL_OPERATOR_DEFAULT_REPOSITORY|container-registry.oracle.com/mysql}'

const innoDb = (edition: 'community' | 'enterprise'): ComposeRule[] => {
  const rule: Pick<ComposeRule, 'kind' | 'group'> = { kind: 'InnoDBCluster', group: mysqlGroup }
  const gate: Pick<ComposeRule, 'when' | 'unless'> =
    edition === 'enterprise' ? { when: 'spec.edition=enterprise' } : { unless: ['spec.edition=enterprise'] }
  return [
    { ...rule, ...gate, image: `${oracle}/${edition}-server:{spec.version|program.numbers}` },
    { ...rule, ...gate, image: `${oracle}/${edition}-operator:{program.tag}` },
    {
      ...rule,
      when: ['spec.router', ...[gate.when ?? []].flat()],
      unless: [...(gate.unless ?? []), 'spec.router.instances=0'],
      image: `${oracle}/${edition}-router:{spec.router.version|spec.version|program.numbers}`,
    },
  ]
}

export const mysql: OperatorRules = {
  operator: 'MySQL operator',
  source:
    'github.com/mysql/mysql-operator 8.0.35-2.0.12 to 9.1.0-2.2.2: mysqloperator/controller/config.py, mysqloperator/controller/innodbcluster/cluster_api.py',
  program: 'community-operator',
  composes: [...innoDb('community'), ...innoDb('enterprise')],
}

export const clickHouse: OperatorRules = {
  operator: 'ClickHouse operator',
  source:
    'github.com/Altinity/clickhouse-operator 0.23.4 to 0.25.6: pkg/model/chi/config/const.go, pkg/model/chk/config/const.go',
  composes: [
    {
      kind: 'ClickHouseInstallation',
      group: 'clickhouse.altinity.com',
      unless: ['spec.templates.podTemplates', 'spec.useTemplates'],
      image: 'clickhouse/clickhouse-server:latest',
    },
    {
      kind: 'ClickHouseKeeperInstallation',
      group: 'clickhouse-keeper.altinity.com',
      unless: ['spec.templates.podTemplates'],
      image: 'clickhouse/clickhouse-keeper:latest',
    },
  ],
}

const tidb = (component: string): ComposeRule => ({
  kind: 'TidbCluster',
  group: 'pingcap.com',
  when: `spec.${component}`,
  unless: [`spec.${component}.image`],
  image: `{spec.${component}.baseImage|pingcap/${component}}:{spec.${component}.version|spec.version}`,
})

const tidbGroup = (kind: string, name: string): ComposeRule => ({
  kind,
  group: 'core.pingcap.com',
  unless: ['spec.template.spec.image'],
  image: `pingcap/${name}:{spec.template.spec.version}`,
})

export const tiDb: OperatorRules = {
  operator: 'TiDB operator',
  source: 'github.com/pingcap/tidb-operator v1.6 and v2: pkg/apis/pingcap/v1alpha1, pkg/image/image.go',
  composes: [
    ...['pd', 'tikv', 'tidb', 'tiflash', 'ticdc'].map(tidb),
    tidbGroup('PDGroup', 'pd'),
    tidbGroup('TiKVGroup', 'tikv'),
    tidbGroup('TiDBGroup', 'tidb'),
    tidbGroup('TiFlashGroup', 'tiflash'),
    tidbGroup('TiCDCGroup', 'ticdc'),
    tidbGroup('TiProxyGroup', 'tiproxy'),
    tidbGroup('TSOGroup', 'pd'),
  ],
}

const opsManager = 'MongoDBOpsManager'

export const mongoDb: OperatorRules = {
  operator: 'MongoDB operators',
  source:
    'github.com/mongodb/mongodb-kubernetes 1.10.1: helm_chart/templates/operator.yaml, controllers/operator/construct, mongodb-community-operator',
  composes: [
    {
      kind: 'MongoDBCommunity',
      group: 'mongodbcommunity.mongodb.com',
      image:
        '{env:MDB_COMMUNITY_REPO_URL|env:MONGODB_REPO_URL|docker.io/mongodb}/{env:MDB_COMMUNITY_IMAGE|env:MONGODB_IMAGE|mongodb-community-server}:{spec.version}-{env:MDB_COMMUNITY_IMAGE_TYPE|env:MDB_IMAGE_TYPE|ubi8}',
    },
    {
      kind: opsManager,
      group: 'mongodb.com',
      image:
        '{env:OPS_MANAGER_IMAGE_REPOSITORY|quay.io/mongodb/mongodb-enterprise-ops-manager-ubi}:{spec.version}',
    },
    {
      kind: opsManager,
      group: 'mongodb.com',
      when: 'spec.applicationDatabase.version',
      image:
        '{env:MONGODB_REPO_URL|quay.io/mongodb}/{env:MONGODB_IMAGE|mongodb-enterprise-server}:{spec.applicationDatabase.version}-ubi8',
    },
  ],
  unseen: [{ kind: 'MongoDB', group: 'mongodb.com', knownBy: 'MONGODB_IMAGE' }],
}

export const crateDb: OperatorRules = {
  operator: 'CrateDB operator',
  source: 'github.com/crate/crate-operator: crate/operator/create.py, crate/operator/config.py',
  composes: [
    {
      kind: 'CrateDB',
      group: 'cloud.crate.io',
      image: '{spec.cluster.imageRegistry}:{spec.cluster.version}',
    },
  ],
  // the exporter and the init containers depend on its version
  unseen: [{ kind: 'CrateDB', group: 'cloud.crate.io', knownBy: 'CRATEDB_OPERATOR_SQL_EXPORTER_IMAGE' }],
}

export const cockroachDb: OperatorRules = {
  operator: 'CockroachDB operator',
  source: 'github.com/cockroachdb/cockroach-operator: pkg/resource/cluster.go, config/manager',
  catalogues: [/^RELATED_IMAGE_COCKROACH_v/],
  composes: [
    {
      kind: 'CrdbCluster',
      group: 'crdb.cockroachlabs.com',
      unless: ['spec.image.name'],
      image: '{env:RELATED_IMAGE_COCKROACH_[spec.cockroachDBVersion:_]}',
    },
  ],
}

const ydbImage = 'cr.yandex/crptqonuodf51kdj7a7d/ydb'

export const ydb: OperatorRules = {
  operator: 'YDB operator',
  source:
    'github.com/ydb-platform/ydb-kubernetes-operator 0.4.22 to 0.8.0: api/v1alpha1/const.go, database_webhook.go',
  program: 'ydb-kubernetes-operator',
  knownTo: '0.8.0',
  defaults: { ydb: { '0.4.22': '22.2.22' } },
  composes: ['Storage', 'Database'].map(kind => ({
    kind,
    group: 'ydb.tech',
    unless: ['spec.image.name'],
    image: `${ydbImage}:{spec.version|default:ydb}`,
  })),
}

const ownOf = (kind: string, name: string): ComposeRule => ({
  kind,
  group: 'clickhouse.com',
  unless: ['spec.containerTemplate.image.hash'],
  image: `{spec.containerTemplate.image.repository|docker.io/clickhouse/clickhouse-${name}}:{spec.containerTemplate.image.tag|latest}`,
})

export const clickHouseInc: OperatorRules = {
  operator: 'operator of ClickHouse Inc.',
  source: 'github.com/ClickHouse/clickhouse-operator v0.0.2: api/v1alpha1/defaults.go',
  composes: [ownOf('KeeperCluster', 'keeper'), ownOf('ClickHouseCluster', 'server')],
}
