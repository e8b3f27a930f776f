import type { ComposeRule, OperatorRules, SidecarRule } from './rule.ts'

const group = 'opentelemetry.io'
const repository = 'ghcr.io/open-telemetry/opentelemetry-operator'

const images = (...languages: string[]) =>
  Object.fromEntries(
    languages.map(language => {
      const name = language === 'apache' ? 'apache-httpd' : language
      return [
        `${language}Image`,
        { '0.110.0': `${repository}/autoinstrumentation-${name}:{default:${language}}` },
      ]
    }),
  )

const injected = (language: string, image: string): SidecarRule => ({
  annotation: `instrumentation.opentelemetry.io/inject-${language}`,
  image: `{flag:--auto-instrumentation-${language}-image|env:RELATED_IMAGE_AUTO_INSTRUMENTATION_${language.toUpperCase().replace('-', '_')}|${image}}`,
  unlessNamedBy: {
    kind: 'Instrumentation',
    group,
    path: `spec.${language.replace(/-(.)/, (_, letter: string) => letter.toUpperCase())}.image`,
  },
})

export const openTelemetry: OperatorRules = {
  operator: 'OpenTelemetry operator',
  source:
    'github.com/open-telemetry/opentelemetry-operator v0.110.0 to v0.158.0: versions.txt, internal/config/config.go, internal/instrumentation',
  program: 'opentelemetry-operator/opentelemetry-operator',
  knownTo: '0.158.0',
  defaults: {
    java: {
      '0.110.0': '1.33.5',
      '0.116.0': '1.33.6',
      '0.151.0': '2.27.0',
      '0.152.0': '2.28.1',
      '0.155.0': '2.29.0',
      '0.157.0': '2.30.0',
    },
    nodejs: {
      '0.110.0': '0.52.1',
      '0.111.0': '0.53.0',
      '0.122.0': '0.56.0',
      '0.123.0': '0.57.1',
      '0.124.0': '0.58.0',
      '0.125.0': '0.58.1',
      '0.131.0': '0.62.0',
      '0.132.0': '0.62.2',
      '0.134.0': '0.63.0',
      '0.136.0': '0.64.1',
      '0.139.0': '0.66.0',
      '0.141.0': '0.67.2',
      '0.142.0': '0.67.3',
      '0.144.0': '0.69.0',
      '0.145.0': '0.70.0',
      '0.146.0': '0.71.0',
      '0.149.0': '0.73.0',
      '0.151.0': '0.75.0',
      '0.152.0': '0.76.0',
      '0.154.0': '0.77.0',
      '0.155.0': '0.78.0',
    },
    python: {
      '0.110.0': '0.48b0',
      '0.116.0': '0.50b0',
      '0.119.0': '0.51b0',
      '0.124.0': '0.53b1',
      '0.126.0': '0.54b1',
      '0.131.0': '0.57b0',
      '0.134.0': '0.58b0',
      '0.137.0': '0.59b0',
      '0.141.0': '0.60b0',
      '0.142.0': '0.60b1',
      '0.149.0': '0.61b0',
      '0.151.0': '0.62b1',
      '0.152.0': '0.63b1',
      '0.154.0': '0.64b0',
    },
    dotnet: {
      '0.110.0': '1.2.0',
      '0.150.0': '1.15.0',
      '0.155.0': '1.16.0',
    },
    go: {
      '0.113.0': 'v0.17.0-alpha',
      '0.115.0': 'v0.19.0-alpha',
      '0.126.0': 'v0.21.0',
      '0.131.0': 'v0.22.1',
      '0.144.0': 'v0.23.0',
      '0.151.0': 'v0.24.0',
    },
    apache: { '0.110.0': '1.0.4' },
    goImage: {
      '0.113.0':
        'ghcr.io/open-telemetry/opentelemetry-go-instrumentation/autoinstrumentation-go:{default:go}',
    },
    ...images('java', 'nodejs', 'python', 'dotnet', 'apache'),
  },
  composes: [
    {
      kind: 'OpenTelemetryCollector',
      group,
      when: 'spec.targetAllocator.enabled',
      unless: ['spec.targetAllocator.image'],
      image: `{flag:--target-allocator-image|env:RELATED_IMAGE_TARGET_ALLOCATOR|${repository}/target-allocator}:{program.version}`,
    },
    {
      kind: 'TargetAllocator',
      group,
      unless: ['spec.image'],
      image: `{flag:--target-allocator-image|env:RELATED_IMAGE_TARGET_ALLOCATOR|${repository}/target-allocator}:{program.version}`,
    },
    {
      kind: 'OpAMPBridge',
      group,
      unless: ['spec.image'],
      image: `{flag:--operator-opamp-bridge-image|env:RELATED_IMAGE_OPERATOR_OPAMP_BRIDGE|${repository}/operator-opamp-bridge}:{program.version}`,
    },
  ],
  unseen: [{ kind: 'OpenTelemetryCollector', group, unless: ['spec.image'], knownBy: 'collector-image' }],
  sidecars: [
    injected('java', 'default:javaImage'),
    injected('nodejs', 'default:nodejsImage'),
    injected('python', 'default:pythonImage'),
    injected('dotnet', 'default:dotnetImage'),
    injected('go', 'default:goImage'),
    injected('apache-httpd', 'default:apacheImage'),
    injected('nginx', 'default:apacheImage'),
  ],
}

const openSearchGroups = ['opensearch.opster.io', 'opensearch.org']
const inRepository = (path: string, name: string, version: string): string =>
  `{spec.general.defaultRepo|${path}}/${name}:${version}`

export const openSearch: OperatorRules = {
  operator: 'OpenSearch operator',
  source:
    'github.com/opensearch-project/opensearch-k8s-operator v3.0.0-alpha: opensearch-operator/pkg/helpers/reconcile-helpers.go, pkg/builders/cluster.go',
  composes: openSearchGroups.flatMap((group): ComposeRule[] => [
    {
      kind: 'OpenSearchCluster',
      group,
      unless: ['spec.general.image'],
      image: inRepository('docker.io/opensearchproject', 'opensearch', '{spec.general.version}'),
    },
    {
      kind: 'OpenSearchCluster',
      group,
      when: 'spec.dashboards.enable',
      unless: ['spec.dashboards.image'],
      image: inRepository(
        'docker.io/opensearchproject',
        'opensearch-dashboards',
        '{spec.dashboards.version|spec.general.version}',
      ),
    },
    {
      kind: 'OpenSearchCluster',
      group,
      unless: ['spec.initHelper.image'],
      image: inRepository('docker.io', 'busybox', '{spec.initHelper.version|latest}'),
    },
  ]),
}
