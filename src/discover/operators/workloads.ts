import { columns } from './columns.ts'
import type { ComposeRule, OperatorRules } from './rule.ts'

export const mattermost: OperatorRules = {
  operator: 'Mattermost operator',
  source:
    'github.com/mattermost/mattermost-operator v1.20.0 to v1.25.9: apis/mattermost/v1beta1/mattermost_utils.go',
  program: 'mattermost/mattermost-operator',
  knownTo: '1.25.9',
  defaults: {
    mattermost: {
      '1.20.0': '7.5.1',
      '1.21.0': '9.2.3',
      '1.22.0': '9.7.3',
      '1.23.0': '10.6.1',
      '1.24.0': '10.8.1',
    },
  },
  composes: [
    {
      kind: 'Mattermost',
      group: 'installation.mattermost.com',
      image: '{spec.image|mattermost/mattermost-enterprise-edition}:{spec.version|default:mattermost}',
    },
  ],
}

export const artemis: OperatorRules = {
  operator: 'ActiveMQ Artemis operator',
  source: 'github.com/artemiscloud/activemq-artemis-operator 1.0.10 to 1.2.8: pkg/utils/common/common.go',
  unseen: [
    {
      kind: 'ActiveMQArtemis',
      group: 'broker.amq.io',
      unless: ['spec.deploymentPlan.image'],
      knownBy: 'RELATED_IMAGE_ActiveMQ_Artemis_Broker_Kubernetes',
    },
  ],
}

const percona = 'percona@sha256:'

const bitpokePart = (name: string, more: Partial<ComposeRule>): ComposeRule => ({
  kind: 'MysqlCluster',
  group: 'mysql.presslabs.org',
  image: `{default:${name}}`,
  ...more,
})

export const bitpoke: OperatorRules = {
  operator: 'MySQL operator of Bitpoke',
  source: 'github.com/bitpoke/mysql-operator v0.6.3: pkg/util/constants/constants.go, pkg/options/options.go',
  program: ['bitpoke/mysql-operator', 'presslabs/mysql-operator'],
  knownTo: '0.6.3',
  defaults: {
    'mysql-5.7': { '0.6.3': `${percona}caab4e854bd75040d07802bf1862bfef1d2b4db0acbc9c4aaf5c21c698fdd393` },
    'mysql-5.7.35': { '0.6.3': `${percona}caab4e854bd75040d07802bf1862bfef1d2b4db0acbc9c4aaf5c21c698fdd393` },
    'mysql-5.7.31': { '0.6.3': `${percona}68dad5e2efeb6893e2d7d116a1eae144f2c641c17d00e7869397395590c91651` },
    'mysql-8.0': { '0.6.3': `${percona}5332a2dd238486f597566403403410e85cc4438f11f317f65458105be00feeba` },
    'mysql-8.0.32': { '0.6.3': `${percona}5332a2dd238486f597566403403410e85cc4438f11f317f65458105be00feeba` },
    'mysql-8.0.20': { '0.6.3': `${percona}6d4524eccd26af7bd7fb623c567159dfbd7f3d9a0e2f7bebd54af1e9ca9903dc` },
  },
  composes: [
    bitpokePart('mysql-5.7', { unless: ['spec.image', 'spec.mysqlVersion'] }),
    bitpokePart('', {
      when: 'spec.mysqlVersion',
      unless: ['spec.image'],
      image: '{default:mysql-[spec.mysqlVersion]}',
    }),
  ],
}

const temporalPart = (path: string, image: string, tag: string): ComposeRule => ({
  kind: 'TemporalCluster',
  group: 'temporal.io',
  when: path === 'spec.ui' ? 'spec.ui.enabled' : 'spec.version',
  image: `{${path}.image|temporalio/${image}}:{${tag}}`,
})

export const temporal: OperatorRules = {
  operator: 'Temporal operator',
  source:
    'github.com/alexandrevilain/temporal-operator v0.21.0 to v0.22.0: api/v1beta1/temporalcluster_defaults.go, pkg/version/admintools.go',
  program: 'alexandrevilain/temporal-operator',
  knownTo: '0.22.0',
  defaults: {
    ui: { '0.21.0': '2.27.3' },
    'tools-1.23': { '0.21.0': '1.23.1.1-tctl-1.18.1-cli-0.12.0' },
    'tools-1.24': { '0.21.0': '1.24.2-tctl-1.18.1-cli-1.0.0' },
  },
  composes: [
    temporalPart('spec', 'server', 'spec.version'),
    temporalPart('spec.ui', 'ui', 'spec.ui.version|default:ui'),
    ...['1.23', '1.24'].map(
      (version): ComposeRule => ({
        ...temporalPart('spec.admintools', 'admin-tools', `spec.admintools.version|default:tools-${version}`),
        when: ['spec.version', `spec.version^=${version}.`],
      }),
    ),
  ],
  unseen: [
    {
      kind: 'TemporalCluster',
      group: 'temporal.io',
      unless: ['spec.version^=1.23.', 'spec.version^=1.24.', 'spec.admintools.version'],
    },
  ],
}

const kong = (kind: string, more: Partial<ComposeRule>): ComposeRule => ({
  kind,
  group: 'gateway-operator.konghq.com',
  image: '',
  ...more,
})

export const kongGateway: OperatorRules = {
  operator: 'Kong gateway operator',
  source:
    'github.com/Kong/gateway-operator v1.2.0 to v1.6.2: pkg/consts/dataplane.go, internal/versions/controlplane.go',
  program: ['kong/gateway-operator-oss', 'kong/gateway-operator', 'kong/nightly-gateway-operator-oss'],
  knownTo: '1.6.2',
  defaults: columns(['controller', 'kong'], {
    '1.2.0': 'kong/kubernetes-ingress-controller:3.1.2 kong:3.6',
    '1.3.0': 'kong/kubernetes-ingress-controller:3.2.0 kong:3.7',
    '1.4.0': 'kong/kubernetes-ingress-controller:3.3.1 kong:3.8',
    '1.5.0': 'kong/kubernetes-ingress-controller:3.4.3 kong:3.9',
    '1.6.0': 'kong/kubernetes-ingress-controller:3.4.4 kong:3.9',
    '1.6.2': 'kong/kubernetes-ingress-controller:3.4.8 kong:3.9',
  }),
  composes: [
    kong('ControlPlane', {
      unless: ['spec.deployment.podTemplateSpec.spec.containers.*.image'],
      image: '{env:RELATED_IMAGE_KONG_CONTROLLER|default:controller}',
    }),
    kong('DataPlane', {
      unless: ['spec.deployment.podTemplateSpec.spec.containers.*.image'],
      image: '{env:RELATED_IMAGE_KONG|default:kong}',
    }),
  ],
}

export const camelK: OperatorRules = {
  operator: 'Camel K',
  source: 'github.com/apache/camel-k v2.3.0 to v2.10.1: pkg/util/defaults/defaults.go',
  program: 'apache/camel-k',
  knownTo: '2.10.1',
  defaults: {
    base: {
      '2.3.0': 'eclipse-temurin:17',
      '2.6.0': 'eclipse-temurin:17-jdk',
      '2.7.0': 'eclipse-temurin:21-jdk',
    },
  },
  composes: ['IntegrationPlatform', 'IntegrationProfile'].map(kind => ({
    kind,
    group: 'camel.apache.org',
    unless: ['spec.build.baseImage'],
    image: '{default:base}',
  })),
}

export const trainingOperator: OperatorRules = {
  operator: 'Kubeflow training operator',
  source: 'github.com/kubeflow/training-operator v1.4.0 to v1.9.0: pkg/config/config.go',
  program: ['kubeflow/training-operator', 'kubeflow/training-v1-operator'],
  knownTo: '1.9.3',
  defaults: {
    init: { '0.0.0': 'alpine:3.10' },
    delivery: { '1.4.0': 'mpioperator/kubectl-delivery:latest', '1.8.0': 'kubeflow/kubectl-delivery:latest' },
  },
  composes: [
    {
      kind: 'PyTorchJob',
      group: 'kubeflow.org',
      when: 'spec.pytorchReplicaSpecs.Worker',
      image: '{flag:--pytorch-init-container-image|default:init}',
    },
    {
      kind: 'MPIJob',
      group: 'kubeflow.org',
      when: 'spec.mpiReplicaSpecs.Launcher',
      image: '{flag:--mpi-kubectl-delivery-image|default:delivery}',
    },
  ],
}

export const jenkins: OperatorRules = {
  operator: 'Jenkins operator',
  source:
    'github.com/jenkinsci/kubernetes-operator v0.7.1 to v0.9.0-beta2: pkg/configuration/user/seedjobs/seedjobs.go',
  program: 'jenkins-kubernetes-operator/operator',
  knownTo: '0.9.0',
  defaults: {
    agent: {
      '0.7.1': 'jenkins/inbound-agent:4.9-1',
      '0.8.0': 'jenkins/inbound-agent:4.10-3',
      '0.8.1': 'jenkins/inbound-agent:3248.v65ecb_254c298-6',
    },
  },
  composes: [
    {
      kind: 'Jenkins',
      group: 'jenkins.io',
      when: 'spec.seedJobs.*',
      unless: ['spec.seedJobAgentImage'],
      image: '{default:agent}',
    },
  ],
}
