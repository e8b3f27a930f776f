import { columns } from './columns.ts'
import type { ComposeRule, OperatorRules } from './rule.ts'

export const solr: OperatorRules = {
  operator: 'Solr operator',
  source: 'github.com/apache/solr-operator v0.4.0 to v0.9.1: api/v1beta1/solrcloud_types.go',
  program: 'solr-operator',
  knownTo: '0.9.1',
  defaults: { solr: { '0.4.0': '8.9', '0.6.0': '8.11' } },
  composes: [
    {
      kind: 'SolrCloud',
      group: 'solr.apache.org',
      image: '{spec.solrImage.repository|docker.io/library/solr}:{spec.solrImage.tag|default:solr}',
    },
    {
      kind: 'SolrCloud',
      group: 'solr.apache.org',
      image: '{spec.busyBoxImage.repository|docker.io/library/busybox}:{spec.busyBoxImage.tag|1.28.0-glibc}',
    },
  ],
}

export const zookeeper: OperatorRules = {
  operator: 'ZooKeeper operator',
  source: 'github.com/pravega/zookeeper-operator v0.2.14 and v0.2.15: api/v1beta1/zookeepercluster_types.go',
  program: 'pravega/zookeeper-operator',
  knownTo: '0.2.15',
  defaults: { zookeeper: { '0.2.14': '0.2.13', '0.2.15': '0.2.14' } },
  composes: [
    {
      kind: 'ZookeeperCluster',
      group: 'zookeeper.pravega.io',
      image: '{spec.image.repository|pravega/zookeeper}:{spec.image.tag|default:zookeeper}',
    },
    // Solr's operator starts a ZookeeperCluster for each of these
    {
      kind: 'SolrCloud',
      group: 'solr.apache.org',
      unless: ['spec.zookeeperRef.connectionInfo'],
      image:
        '{spec.zookeeperRef.provided.image.repository|pravega/zookeeper}:{spec.zookeeperRef.provided.image.tag|default:zookeeper}',
    },
  ],
}

export const redis: OperatorRules = {
  operator: 'Redis operator of Spotahome',
  source: 'github.com/spotahome/redis-operator v1.2.0 to v1.3.0: api/redisfailover/v1/defaults.go',
  program: 'spotahome/redis-operator',
  knownTo: '1.3.0',
  defaults: {
    redis: { '1.2.0': 'redis:6.2.6-alpine' },
    exporter: { '1.2.0': 'quay.io/oliver006/redis_exporter:v1.43.0' },
  },
  composes: [
    ...['redis', 'sentinel'].map(part => ({
      kind: 'RedisFailover',
      group: 'databases.spotahome.com',
      unless: [`spec.${part}.image`],
      image: '{default:redis}',
    })),
    ...['redis', 'sentinel'].map(part => ({
      kind: 'RedisFailover',
      group: 'databases.spotahome.com',
      when: `spec.${part}.exporter.enabled`,
      unless: [`spec.${part}.exporter.image`],
      image: '{default:exporter}',
    })),
  ],
}

export const dragonfly: OperatorRules = {
  operator: 'Dragonfly operator',
  source:
    'github.com/dragonflydb/dragonfly-operator v1.0.0 to v1.6.1: internal/resources/version.go, const.go',
  program: 'dragonflydb/operator',
  knownTo: '1.6.1',
  defaults: {
    dragonfly: {
      '1.0.0': 'v1.12.0',
      '1.1.0': 'v1.14.1',
      '1.1.1': 'v1.14.5',
      '1.1.2': 'v1.16.0',
      '1.1.3': 'v1.19.0',
      '1.1.5': 'v1.20.1',
      '1.1.7': 'v1.21.2',
      '1.1.8': 'v1.24.0',
      '1.1.9': 'v1.26.2',
      '1.1.11': 'v1.28.1',
      '1.2.0': 'v1.32.0',
      '1.2.1': 'v1.33.1',
      '1.3.0': 'v1.34.1',
      '1.3.1': 'v1.35.0',
      '1.4.0': 'v1.36.0',
      '1.5.0': 'v1.37.0',
      '1.6.0': 'v1.39.0',
    },
    image: { '1.0.0': 'docker.dragonflydb.io/dragonflydb/dragonfly:{default:dragonfly}' },
  },
  composes: [
    {
      kind: 'Dragonfly',
      group: 'dragonflydb.io',
      unless: ['spec.image'],
      image: '{flag:--dragonfly-image|default:image}',
    },
  ],
}

const management = 'k8ssandra/cass-management-api'

const serverVersions = {
  cassandra: 'spec.serverVersion',
  ofCluster: 'spec.cassandra.serverVersion',
  ofDatacenter: 'each.serverVersion',
}

/** K8ssandra's operator starts a CassandraDatacenter for each of these. */
const k8ssandraServer = (path: string, name: keyof typeof serverVersions): ComposeRule => ({
  kind: 'K8ssandraCluster',
  group: 'k8ssandra.io',
  when: `${path}.serverVersion`,
  unless: [
    'spec.cassandra.serverType=dse',
    'spec.cassandra.serverType=hcd',
    'spec.cassandra.serverImage',
    `${path}.serverImage`,
  ],
  image: `{default:${name}}`,
})

export const cassandra: OperatorRules = {
  operator: 'Cassandra operator',
  source:
    'github.com/k8ssandra/cass-operator v1.22.0 to v1.32.0: config/manager/image_config.yaml, config/imageconfig',
  program: 'cass-operator',
  knownTo: '1.32.0',
  defaults: Object.fromEntries(
    Object.entries(serverVersions).map(([name, version]) => [
      name,
      {
        '1.22.0': `cr.k8ssandra.io/${management}:{${version}}-ubi8`,
        '1.24.0': `cr.k8ssandra.io/${management}:{${version}}-ubi`,
        '1.27.1': `docker.io/${management}:{${version}}-ubi`,
      },
    ]),
  ),
  composes: [
    k8ssandraServer('spec.cassandra', 'ofCluster'),
    { ...k8ssandraServer('each', 'ofDatacenter'), each: 'spec.cassandra.datacenters' },
    {
      kind: 'CassandraDatacenter',
      group: 'cassandra.datastax.com',
      when: 'spec.serverType=cassandra',
      unless: ['spec.serverImage'],
      image: '{default:cassandra}',
    },
  ],
  unseen: [
    {
      kind: 'CassandraDatacenter',
      group: 'cassandra.datastax.com',
      unless: ['spec.serverImage', 'spec.serverType=cassandra'],
    },
    {
      kind: 'K8ssandraCluster',
      group: 'k8ssandra.io',
      unless: [
        'spec.cassandra.serverImage',
        'spec.cassandra.serverVersion',
        'spec.cassandra.datacenters.*.serverVersion',
      ],
    },
  ],
}

export const k8ssandra: OperatorRules = {
  operator: 'K8ssandra operator',
  source:
    'github.com/k8ssandra/k8ssandra-operator v1.8.0 to v1.32.5: pkg/medusa, pkg/reaper, config/cass-operator/imageconfig',
  program: 'k8ssandra-operator',
  knownTo: '1.32.5',
  defaults: columns(['medusa', 'reaper'], {
    '1.8.0': 'docker.io/k8ssandra/medusa:0.15.0 docker.io/thelastpickle/cassandra-reaper:3.2.1',
    '1.9.0': 'docker.io/k8ssandra/medusa:0.16.1 docker.io/thelastpickle/cassandra-reaper:3.2.1',
    '1.9.1': 'docker.io/k8ssandra/medusa:0.16.2 docker.io/thelastpickle/cassandra-reaper:3.3.4',
    '1.10.0': 'docker.io/k8ssandra/medusa:0.16.2 docker.io/thelastpickle/cassandra-reaper:3.4.0',
    '1.11.0': 'docker.io/k8ssandra/medusa:0.17.0 docker.io/thelastpickle/cassandra-reaper:3.4.0',
    '1.12.0': 'docker.io/k8ssandra/medusa:0.17.2 docker.io/thelastpickle/cassandra-reaper:3.4.0',
    '1.13.0': 'docker.io/k8ssandra/medusa:0.19.1 docker.io/thelastpickle/cassandra-reaper:3.5.0',
    '1.14.0': 'docker.io/k8ssandra/medusa:0.20.1 docker.io/thelastpickle/cassandra-reaper:3.5.0',
    '1.15.0': 'docker.io/k8ssandra/medusa:0.20.1 docker.io/thelastpickle/cassandra-reaper:3.6.0',
    '1.16.0': 'docker.io/k8ssandra/medusa:0.21.0 docker.io/thelastpickle/cassandra-reaper:3.6.0',
    '1.17.0': 'docker.io/k8ssandra/medusa:0.21.0 docker.io/thelastpickle/cassandra-reaper:3.6.1',
    '1.18.0': 'docker.io/k8ssandra/medusa:0.22.0 docker.io/thelastpickle/cassandra-reaper:3.6.1',
    '1.19.0': 'docker.io/k8ssandra/medusa:0.22.2 docker.io/thelastpickle/cassandra-reaper:3.6.1',
    '1.20.2': 'docker.io/k8ssandra/medusa:0.22.3 docker.io/thelastpickle/cassandra-reaper:3.6.1',
    '1.20.4': 'docker.io/k8ssandra/medusa:0.24.0 docker.io/thelastpickle/cassandra-reaper:3.6.1',
    '1.21.1': 'docker.io/k8ssandra/medusa:0.23.0 docker.io/thelastpickle/cassandra-reaper:3.8.0',
    '1.21.2': 'docker.io/k8ssandra/medusa:0.24.0 docker.io/thelastpickle/cassandra-reaper:3.8.0',
    '1.24.0': 'docker.io/k8ssandra/medusa:0.24.1 docker.io/thelastpickle/cassandra-reaper:4.0.0-beta3',
    '1.26.0': 'docker.io/k8ssandra/medusa:0.25.0 docker.io/thelastpickle/cassandra-reaper:4.0.0-rc1',
    // from here on in the ImageConfig of the Cassandra operator, which the rendering shows
    '1.27.0': '- -',
  }),
  composes: [
    {
      kind: 'K8ssandraCluster',
      group: 'k8ssandra.io',
      when: 'spec.medusa',
      unless: ['spec.medusa.containerImage.tag'],
      image: '{default:medusa}',
    },
    {
      kind: 'K8ssandraCluster',
      group: 'k8ssandra.io',
      when: 'spec.reaper',
      unless: ['spec.reaper.containerImage.tag'],
      image: '{default:reaper}',
    },
  ],
}

export const milvus: OperatorRules = {
  operator: 'Milvus operator',
  source: 'github.com/zilliztech/milvus-operator v1.0.0 to v1.3.6: pkg/config/config.go',
  program: 'milvusdb/milvus-operator',
  knownTo: '1.3.6',
  defaults: {
    milvus: {
      '1.0.0': 'v2.4.6',
      '1.0.2': 'v2.4.7',
      '1.0.3': 'v2.4.8',
      '1.0.4': 'v2.4.9',
      '1.0.6': 'v2.4.10',
      '1.0.8': 'v2.4.11',
      '1.0.9': 'v2.4.12',
      '1.1.0': 'v2.4.13',
      '1.1.1': 'v2.4.13-hotfix',
      '1.1.2': 'v2.4.15',
      '1.1.3': 'v2.4.17',
      '1.1.5': 'v2.4.19',
      '1.1.6': 'v2.4.20',
      '1.1.9': 'v2.4.21',
      '1.2.0': 'v2.5.4',
      '1.2.2': 'v2.5.5',
      '1.2.3': 'v2.5.6',
      '1.2.4': 'v2.5.7',
      '1.2.5': 'v2.5.10',
      '1.2.7': 'v2.5.13',
      '1.2.8': 'v2.5.14',
      '1.3.0': 'v2.6.0',
      '1.3.2': 'v2.6.3',
      '1.3.3': 'v2.6.5',
      '1.3.4': 'v2.6.6',
      '1.3.5': 'v2.6.7',
      '1.3.6': 'v2.6.11',
    },
  },
  composes: [
    {
      kind: 'Milvus',
      group: 'milvus.io',
      unless: ['spec.components.image'],
      image: 'milvusdb/milvus:{default:milvus}',
    },
  ],
  // from the charts inside the operator
  unseen: [
    { kind: 'Milvus', group: 'milvus.io', unless: ['spec.dependencies.etcd.external'] },
    { kind: 'Milvus', group: 'milvus.io', unless: ['spec.dependencies.storage.external'] },
  ],
}

export const redpanda: OperatorRules = {
  operator: 'Redpanda operator',
  source:
    'github.com/redpanda-data/redpanda-operator v2.4.1 to v26.2.2: charts/redpanda/chart/Chart.yaml and values.yaml',
  program: 'redpandadata/redpanda-operator',
  knownTo: '26.2.2',
  defaults: {
    redpanda: {
      '2.4.1': 'v25.1.1',
      '2.4.2': 'v25.1.2',
      '2.4.3': 'v25.1.7',
      '2.4.6': 'v25.1.12',
      '25.1.1': 'v25.1.2',
      '25.1.2': 'v25.1.9',
      '25.1.4': 'v25.1.12',
      '25.2.1': 'v25.2.11',
      '25.2.2': 'v25.2.14',
      '25.3.1': 'v25.3.1',
      '25.3.2': 'v25.3.10',
      '25.3.3': 'v25.3.13',
      '25.3.4': 'v25.3.14',
      '25.3.8': 'v25.3.15',
      '26.1.1': 'v26.1.1',
      '26.1.3': 'v26.1.6',
      '26.1.5': 'v26.1.8',
      '26.1.7': 'v26.1.12',
      '26.1.10': 'v26.1.14',
      '26.2.1': 'v26.2.1',
    },
  },
  composes: [
    {
      kind: 'Redpanda',
      group: 'cluster.redpanda.com',
      unless: ['spec.chartRef.chartVersion'],
      image:
        '{spec.clusterSpec.image.repository|docker.redpanda.com/redpandadata/redpanda}:{spec.clusterSpec.image.tag|default:redpanda}',
    },
  ],
}

export const cassKop: OperatorRules = {
  operator: 'CassKop',
  source: 'github.com/cscetbon/casskop v2.1.2 to v2.3.4: api/v2/cassandracluster_types.go',
  program: 'cscetbon/casskop',
  knownTo: '2.3.4',
  defaults: {
    cassandra: { '2.1.2': 'cassandra:3.11.10' },
    builder: { '2.1.2': 'datastax/cass-config-builder:1.0.4' },
    bootstrap: {
      '2.1.2': 'ghcr.io/cscetbon/casskop-bootstrap:0.1.9',
      '2.1.10': 'ghcr.io/cscetbon/casskop-bootstrap:0.1.10',
      '2.1.15': 'ghcr.io/cscetbon/casskop-bootstrap:0.1.11',
      '2.1.17': 'ghcr.io/cscetbon/casskop-bootstrap:0.1.12',
      '2.2.0': 'ghcr.io/cscetbon/casskop-bootstrap:0.1.13',
      '2.2.2': 'ghcr.io/cscetbon/casskop-bootstrap:0.1.14',
      '2.2.4': 'ghcr.io/cscetbon/casskop-bootstrap:0.1.15',
      '2.2.5': 'ghcr.io/cscetbon/casskop-bootstrap:0.1.16',
      '2.2.7': 'ghcr.io/cscetbon/casskop-bootstrap:0.1.19',
      '2.3.0': 'ghcr.io/cscetbon/casskop-bootstrap:0.1.21',
    },
    icarus: {
      '2.1.2': 'gcr.io/cassandra-operator/instaclustr-icarus:1.1.0',
      '2.1.15': 'ghcr.io/cscetbon/instaclustr-icarus:1.1.3',
      '2.1.17': 'ghcr.io/cscetbon/instaclustr-icarus:2.0.4',
      '2.1.18': 'ghcr.io/cscetbon/instaclustr-icarus:1.1.3',
    },
  },
  composes: Object.entries({
    cassandra: ['spec.cassandraImage'],
    builder: ['spec.configBuilderImage'],
    bootstrap: ['spec.bootstrapImage'],
    icarus: ['spec.backRestSidecar.image', 'spec.backRestSidecar.enabled=false'],
  }).map(([name, unless]) => ({
    kind: 'CassandraCluster',
    group: 'db.orange.com',
    unless,
    image: `{default:${name}}`,
  })),
}
