import type { ComposeRule, OperatorRules } from './rule.ts'

const nebulaGroup = 'apps.nebula-graph.io'

const nebulaPart = (name: string): ComposeRule => ({
  kind: 'NebulaCluster',
  group: nebulaGroup,
  when: `spec.${name}`,
  image: `{spec.${name}.image|vesoft/nebula-${name}}:{spec.${name}.version}`,
})

export const nebula: OperatorRules = {
  operator: 'Nebula operator',
  source:
    'github.com/vesoft-inc/nebula-operator v1.8.0 to v1.8.8: apis/apps/v1alpha1/nebulacluster_common.go, pkg/controller/component/console.go',
  program: 'vesoft/nebula-operator',
  knownTo: '1.8.8',
  defaults: { alpine: { '1.8.0': 'vesoft/nebula-alpine:latest' } },
  composes: [
    ...['graphd', 'metad', 'storaged'].map(nebulaPart),
    {
      kind: 'NebulaCluster',
      group: nebulaGroup,
      unless: ['spec.alpineImage'],
      image: '{default:alpine}',
    },
    {
      kind: 'NebulaCluster',
      group: nebulaGroup,
      when: 'spec.console',
      image: '{spec.console.image|vesoft/nebula-console}:{spec.console.version|latest}',
    },
    {
      kind: 'NebulaCluster',
      group: nebulaGroup,
      when: 'spec.enableBR',
      image: '{spec.agent.image|vesoft/nebula-agent}:{spec.agent.version|latest}',
    },
  ],
}

export const arangoDb: OperatorRules = {
  operator: 'ArangoDB operator',
  source: 'github.com/arangodb/kube-arangodb 1.2.30 to 1.4.4: pkg/apis/deployment/v1/deployment_spec.go',
  program: 'arangodb/kube-arangodb',
  knownTo: '1.4.4',
  defaults: { arangodb: { '1.2.30': 'arangodb/arangodb:latest' } },
  composes: [
    {
      kind: 'ArangoDeployment',
      group: 'database.arangodb.com',
      unless: ['spec.image'],
      image: '{default:arangodb}',
    },
  ],
}

const greptime = (kind: string, more: Partial<ComposeRule>): ComposeRule => ({
  kind,
  group: 'greptime.io',
  image: '',
  ...more,
})

export const greptimeDb: OperatorRules = {
  operator: 'GreptimeDB operator',
  source: 'github.com/GreptimeTeam/greptimedb-operator v0.1.1 to v0.6.0: apis/v1alpha1/constants.go',
  program: 'greptime/greptimedb-operator',
  knownTo: '0.6.0',
  defaults: {
    greptimedb: { '0.1.1': 'greptime/greptimedb:latest' },
    initializer: { '0.1.1': 'greptime/greptimedb-initializer:latest' },
  },
  composes: [
    ...['GreptimeDBCluster', 'GreptimeDBStandalone'].map(kind =>
      greptime(kind, { unless: ['spec.base.main.image'], image: '{default:greptimedb}' }),
    ),
    greptime('GreptimeDBCluster', { unless: ['spec.initializer.image'], image: '{default:initializer}' }),
  ],
}

export const hazelcast: OperatorRules = {
  operator: 'Hazelcast Platform operator',
  source:
    'github.com/hazelcast/hazelcast-platform-operator v5.10 to v5.12: internal/naming/constants.go, api/v1alpha1/hazelcast_types.go',
  program: 'hazelcast/hazelcast-platform-operator',
  knownTo: '5.12.0',
  defaults: {
    hazelcast: { '5.10.0': '5.3.5', '5.11.0': '5.4.0' },
    center: { '5.10.0': '5.3.3', '5.11.0': '5.4.0', '5.12.0': '5.4.1' },
  },
  composes: [
    {
      kind: 'Hazelcast',
      group: 'hazelcast.com',
      image: '{spec.repository|docker.io/hazelcast/hazelcast-enterprise}:{spec.version|default:hazelcast}',
    },
    {
      kind: 'ManagementCenter',
      group: 'hazelcast.com',
      image: '{spec.repository|docker.io/hazelcast/management-center}:{spec.version|default:center}',
    },
  ],
}
