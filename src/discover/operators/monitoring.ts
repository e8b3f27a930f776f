import type { ComposeRule, OperatorRules } from './rule.ts'

const group = 'monitoring.coreos.com'

const prometheusOf = (kind: string): ComposeRule[] => [
  {
    kind,
    group,
    unless: ['spec.image'],
    image:
      '{spec.baseImage|flag:--prometheus-default-base-image|quay.io/prometheus/prometheus}:{spec.version|default:prometheus}',
  },
  {
    kind,
    group,
    when: 'spec.thanos',
    unless: ['spec.thanos.image'],
    image:
      '{spec.thanos.baseImage|flag:--thanos-default-base-image|quay.io/thanos/thanos}:{spec.thanos.version|default:thanos}',
  },
]

export const prometheus: OperatorRules = {
  operator: 'Prometheus Operator',
  source:
    'github.com/prometheus-operator/prometheus-operator v0.70.0 to v0.93.0: pkg/operator/defaults.go, pkg/operator/image.go, cmd/operator/main.go',
  program: 'prometheus-operator/prometheus-operator',
  knownTo: '0.93.0',
  defaults: {
    prometheus: {
      '0.70.0': 'v2.48.0',
      '0.71.0': 'v2.48.1',
      '0.72.0': 'v2.50.0',
      '0.73.0': 'v2.51.1',
      '0.74.0': 'v2.52.0',
      '0.75.0': 'v2.53.0',
      '0.76.0': 'v2.54.0',
      '0.77.0': 'v2.54.1',
      '0.78.0': 'v2.55.0',
      '0.79.0': 'v3.0.1',
      '0.80.0': 'v3.1.0',
      '0.81.0': 'v3.2.1',
      '0.83.0': 'v3.4.0',
      '0.84.0': 'v3.4.2',
      '0.85.0': 'v3.5.0',
      '0.86.0': 'v3.6.0',
      '0.87.0': 'v3.7.3',
      '0.88.0': 'v3.9.1',
      '0.90.0': 'v3.10.0',
      '0.91.0': 'v3.11.3',
      '0.92.0': 'v3.12.0',
      '0.93.0': 'v3.13.1',
    },
    alertmanager: {
      '0.70.0': 'v0.26.0',
      '0.73.0': 'v0.27.0',
      '0.80.0': 'v0.28.0',
      '0.82.0': 'v0.28.1',
      '0.87.0': 'v0.29.0',
      '0.88.0': 'v0.30.0',
      '0.89.0': 'v0.31.0',
      '0.90.0': 'v0.31.1',
      '0.91.0': 'v0.32.1',
      '0.92.0': 'v0.33.0',
      '0.93.0': 'v0.33.1',
    },
    thanos: {
      '0.70.0': 'v0.32.4',
      '0.71.0': 'v0.33.0',
      '0.72.0': 'v0.34.1',
      '0.74.0': 'v0.35.0',
      '0.75.0': 'v0.35.1',
      '0.76.0': 'v0.36.0',
      '0.77.0': 'v0.36.1',
      '0.79.0': 'v0.37.2',
      '0.82.0': 'v0.38.0',
      '0.84.0': 'v0.39.1',
      '0.85.0': 'v0.39.2',
      '0.88.0': 'v0.40.1',
      '0.90.0': 'v0.41.0',
      '0.93.0': 'v0.42.2',
    },
  },
  composes: [
    ...['Prometheus', 'PrometheusAgent'].flatMap(prometheusOf),
    {
      kind: 'Alertmanager',
      group,
      unless: ['spec.image'],
      image:
        '{spec.baseImage|flag:--alertmanager-default-base-image|quay.io/prometheus/alertmanager}:{spec.version|default:alertmanager}',
    },
    {
      kind: 'ThanosRuler',
      group,
      unless: ['spec.image'],
      image: '{flag:--thanos-default-base-image|quay.io/thanos/thanos}:{spec.version|default:thanos}',
    },
  ],
}

export const grafana: OperatorRules = {
  operator: 'Grafana operator',
  source:
    'github.com/grafana/grafana-operator v5.4.0 to v5.24.0: controllers/config/operator_constants.go, controllers/reconcilers/grafana/deployment_reconciler.go',
  program: 'grafana-operator',
  knownTo: '5.24.0',
  defaults: {
    image: { '5.4.0': 'docker.io/grafana/grafana:{default:grafana}' },
    grafana: {
      '5.4.0': '9.1.6',
      '5.7.0': '9.5.17',
      '5.9.2': '10.4.3',
      '5.16.0': '11.3.0',
      '5.19.0': '12.1.0',
      '5.21.0': '12.3.0',
      '5.22.0': '12.3.3',
      '5.22.1': '12.4.1',
      '5.23.0': '13.0.1',
    },
  },
  composes: [
    {
      kind: 'Grafana',
      group: 'grafana.integreatly.org',
      unless: ['spec.external', 'spec.deployment.spec.template.spec.containers.*.image', 'spec.version'],
      image: '{env:RELATED_IMAGE_GRAFANA|default:image}',
    },
    {
      kind: 'Grafana',
      group: 'grafana.integreatly.org',
      when: 'spec.version',
      unless: ['spec.external', 'spec.deployment.spec.template.spec.containers.*.image'],
      image: 'docker.io/grafana/grafana:{spec.version}',
    },
  ],
}

const otherSites = ['ap1.datadoghq.com', 'datadoghq.eu', 'ddog-gov.com', 'us3.datadoghq.com']

export const datadog: OperatorRules = {
  operator: 'Datadog operator',
  source:
    'github.com/DataDog/datadog-operator v1.4.0 to v1.29.0: pkg/images/images.go, pkg/defaulting/image_defaults.go',
  program: ['datadog/operator', 'datadoghq/operator', 'registry.datadoghq.com/operator'],
  knownTo: '1.29.0',
  defaults: {
    agent: {
      '1.4.0': '7.50.3',
      '1.5.0': '7.51.0',
      '1.6.0': '7.53.0',
      '1.7.0': '7.54.0',
      '1.8.0': '7.55.2',
      '1.9.0': '7.57.2',
      '1.10.0': '7.58.2',
      '1.11.0': '7.60.0',
      '1.12.0': '7.62.0',
      '1.12.1': '7.62.2',
      '1.13.0': '7.63.3',
      '1.14.0': '7.64.3',
      '1.15.0': '7.65.2',
      '1.16.0': '7.67.0',
      '1.17.0': '7.68.2',
      '1.18.0': '7.70.0',
      '1.19.0': '7.71.1',
      '1.20.0': '7.72.1',
      '1.21.0': '7.73.0',
      '1.22.0': '7.74.0',
      '1.23.0': '7.75.0',
      '1.24.0': '7.76.1',
      '1.25.0': '7.77.2',
      '1.26.0': '7.78.1',
      '1.27.0': '7.79.2',
      '1.28.0': '7.80.2',
      '1.29.0': '7.81.2',
    },
    registry: { '1.4.0': 'gcr.io/datadoghq', '1.29.0': 'registry.datadoghq.com' },
  },
  composes: (['agent', 'cluster-agent'] as const).flatMap((name): ComposeRule[] => {
    const own = `spec.override.${name === 'agent' ? 'nodeAgent' : 'clusterAgent'}.image`
    const sites = otherSites.map(site => `spec.global.site=${site}`)
    const rule = { kind: 'DatadogAgent', group: 'datadoghq.com' }
    return [
      {
        ...rule,
        unless: [own, ...sites],
        image: `{spec.global.registry|default:registry}/${name}:{default:agent}`,
      },
      // with another registry, which depends on the version, too
      ...sites.map(when => ({
        ...rule,
        when,
        unless: [own],
        image: `{spec.global.registry}/${name}:{default:agent}`,
      })),
    ]
  }),
}

export const telemetry: OperatorRules = {
  operator: 'operators for telemetry',
  source: 'the defaults of each operator, compiled in or in its variables',
  unseen: [
    { kind: 'TempoStack', group: 'tempo.grafana.com', knownBy: 'RELATED_IMAGE_TEMPO' },
    { kind: 'LokiStack', group: 'loki.grafana.com', knownBy: 'RELATED_IMAGE_LOKI' },
    { kind: 'DynaKube', group: 'dynatrace.com' },
  ],
}
