import { columns } from './columns.ts'
import type { ComposeRule, OperatorRules } from './rule.ts'

export const humio: OperatorRules = {
  operator: 'Humio operator',
  source:
    'github.com/humio/humio-operator 0.20.1 to 0.34.1: controllers/humiocluster_defaults.go, internal/controller/versions/versions.go',
  program: 'humio/humio-operator',
  knownTo: '0.34.1',
  defaults: columns(['core', 'helper', 'pdf'], {
    '0.20.1': 'humio/humio-core:1.100.0 humio/humio-operator-helper:3568eb1e7041beaf70d48e71a3d5fc6c8cfb9a6f',
    '0.21.0': 'humio/humio-core:1.131.1 humio/humio-operator-helper:8f5ef6c7e470226e77d985f36cf39be9a100afea',
    '0.25.0': 'humio/humio-core:1.142.3 humio/humio-operator-helper:8f5ef6c7e470226e77d985f36cf39be9a100afea',
    '0.26.0': 'humio/humio-core:1.153.3 humio/humio-operator-helper:8f5ef6c7e470226e77d985f36cf39be9a100afea',
    '0.26.1': 'humio/humio-core:1.153.3 humio/humio-operator-helper:0801827ac0aeec0976097099ae00742209677a70',
    '0.27.0': 'humio/humio-core:1.159.1 humio/humio-operator-helper:0801827ac0aeec0976097099ae00742209677a70',
    '0.28.1': 'humio/humio-core:1.159.1 humio/humio-operator-helper:18b8d8df927ae03ead82162ba8f1171960c1b275',
    '0.32.0':
      'humio/humio-core:1.159.1 humio/humio-operator-helper:18b8d8df927ae03ead82162ba8f1171960c1b275 humio/pdf-render-service:0.1.2--build-104--sha-9a7598de95bb9775b6f59d874c37a206713bae01',
  }),
  composes: [
    {
      kind: 'HumioCluster',
      group: 'core.humio.com',
      unless: ['spec.image', 'spec.imageSource', 'spec.nodePools.*.spec.image'],
      image:
        '{env:HUMIO_OPERATOR_DEFAULT_HUMIO_CORE_IMAGE|env:HUMIO_OPERATOR_DEFAULT_HUMIO_CORE_IMAGE_MANAGED|default:core}',
    },
    {
      kind: 'HumioCluster',
      group: 'core.humio.com',
      unless: ['spec.helperImage'],
      image:
        '{env:HUMIO_OPERATOR_DEFAULT_HUMIO_HELPER_IMAGE|env:HUMIO_OPERATOR_DEFAULT_HUMIO_HELPER_IMAGE_MANAGED|default:helper}',
    },
    {
      kind: 'HumioPdfRenderService',
      group: 'core.humio.com',
      unless: ['spec.image'],
      image: '{default:pdf}',
    },
  ],
}

const coroot = (image: string, more: Partial<ComposeRule>): ComposeRule => ({
  kind: 'Coroot',
  group: 'coroot.com',
  image: `{env:REGISTRY_URL|ghcr.io/coroot}/{default:${image}}`,
  ...more,
})

export const corootOperator: OperatorRules = {
  operator: 'Coroot operator',
  source:
    'github.com/coroot/coroot-operator v1.2.0 to v1.9.3: controller/versions.go, controller/controller.go',
  program: 'coroot/coroot-operator',
  knownTo: '1.9.3',
  defaults: columns(['clickhouse', 'prometheus', 'state'], {
    '1.2.0': 'clickhouse:25.1.3-ubi9-0 prometheus:2.55.1-ubi9-0 kube-state-metrics:2.15.0-ubi9-0',
    '1.5.0': 'clickhouse:25.11.2-ubi9-0 prometheus:2.55.1-ubi9-0 kube-state-metrics:2.15.0-ubi9-0',
  }),
  composes: [
    coroot('state', { unless: ['spec.clusterAgent.kubeStateMetrics.image.name'] }),
    coroot('prometheus', {
      unless: [
        'spec.agentsOnly',
        'spec.externalPrometheus',
        'spec.storeMetricsInClickhouse',
        'spec.prometheus.image.name',
      ],
    }),
    coroot('clickhouse', {
      unless: ['spec.agentsOnly', 'spec.externalClickhouse', 'spec.clickhouse.image.name'],
    }),
  ],
  // for these, it looks up the newest tag in the registry
  unseen: [
    { kind: 'Coroot', group: 'coroot.com', unless: ['spec.nodeAgent.image.name'] },
    { kind: 'Coroot', group: 'coroot.com', unless: ['spec.clusterAgent.image.name'] },
    {
      kind: 'Coroot',
      group: 'coroot.com',
      unless: ['spec.agentsOnly', 'spec.communityEdition.image.name', 'spec.enterpriseEdition.image.name'],
    },
  ],
}

const instanaPart = (path: string, name: string): ComposeRule => ({
  kind: 'InstanaAgent',
  group: 'instana.io',
  unless: [`spec.${path}.image.digest`],
  image: `{spec.${path}.image.name|icr.io/instana/${name}}:{spec.${path}.image.tag|latest}`,
})

export const instana: OperatorRules = {
  operator: 'Instana agent operator',
  source: 'github.com/instana/instana-agent-operator v2.2.15: api/v1/instanaagent_types.go',
  composes: [instanaPart('agent', 'agent'), instanaPart('k8s_sensor', 'k8sensor')],
}

const component = (type: string, name: string): ComposeRule => ({
  kind: 'Component',
  group: 'instance.falcosecurity.dev',
  when: `spec.component.type=${type}`,
  unless: ['spec.podTemplateSpec.spec.containers.*.image'],
  image: `docker.io/falcosecurity/${name}:{spec.component.version|default:${name}}`,
})

export const falco: OperatorRules = {
  operator: 'Falco operator',
  source: 'github.com/falcosecurity/falco-operator v0.1.0 to v0.4.1: internal/pkg/image/const.go',
  program: 'falcosecurity/falco-operator',
  knownTo: '0.4.1',
  defaults: {
    falco: { '0.1.0': '0.41.0', '0.2.0': '0.43.0', '0.3.0': '0.44.0', '0.4.0': '0.44.1' },
    ...columns(['k8s-metacollector', 'falcosidekick', 'falcosidekick-ui'], {
      '0.2.0': '0.1.2 2.32.0 2.2.0',
    }),
    redis: { '0.2.0': 'docker.io/redis/redis-stack:7.2.0-v11' },
    artifacts: { '0.1.1': 'docker.io/falcosecurity/artifact-operator:{program.tag}' },
  },
  composes: [
    {
      kind: 'Falco',
      group: 'instance.falcosecurity.dev',
      unless: ['spec.podTemplateSpec.spec.containers.*.image'],
      image: 'docker.io/falcosecurity/falco:{spec.version|default:falco}',
    },
    {
      kind: 'Falco',
      group: 'instance.falcosecurity.dev',
      image: '{env:ARTIFACT_OPERATOR_IMAGE|default:artifacts}',
    },
    component('metacollector', 'k8s-metacollector'),
    component('falcosidekick', 'falcosidekick'),
    component('falcosidekick-ui', 'falcosidekick-ui'),
    {
      kind: 'Component',
      group: 'instance.falcosecurity.dev',
      when: 'spec.component.type=falcosidekick-ui',
      unless: ['spec.podTemplateSpec.spec.initContainers.*.image'],
      image: '{default:redis}',
    },
  ],
}
