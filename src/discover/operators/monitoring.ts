import type { OperatorRules } from './rule.ts'

const group = 'monitoring.coreos.com'

export const prometheus: OperatorRules = {
  operator: 'Prometheus Operator',
  source: 'prometheus-operator v0.86: pkg/operator/image.go, cmd/operator/main.go',
  composes: [
    ...['Prometheus', 'PrometheusAgent'].map(kind => ({
      kind,
      group,
      unless: ['spec.image'],
      image: '{flag:--prometheus-default-base-image|quay.io/prometheus/prometheus}:{spec.version}',
    })),
    {
      kind: 'Alertmanager',
      group,
      unless: ['spec.image'],
      image: '{flag:--alertmanager-default-base-image|quay.io/prometheus/alertmanager}:{spec.version}',
    },
    {
      kind: 'ThanosRuler',
      group,
      unless: ['spec.image'],
      image: '{flag:--thanos-default-base-image|quay.io/thanos/thanos}:{spec.version}',
    },
  ],
}

export const telemetry: OperatorRules = {
  operator: 'operators for telemetry',
  source: 'the defaults of each operator, compiled in or in its variables',
  composes: [
    {
      kind: 'Grafana',
      group: 'grafana.integreatly.org',
      when: 'spec.version',
      image: 'docker.io/grafana/grafana:{spec.version}',
    },
  ],
  unseen: [
    {
      kind: 'Grafana',
      group: 'grafana.integreatly.org',
      unless: ['spec.version'],
      knownBy: 'RELATED_IMAGE_GRAFANA',
    },
    { kind: 'Jaeger', group: 'jaegertracing.io' },
    { kind: 'Kiali', group: 'kiali.io' },
    { kind: 'TempoStack', group: 'tempo.grafana.com', knownBy: 'RELATED_IMAGE_TEMPO' },
    { kind: 'LokiStack', group: 'loki.grafana.com', knownBy: 'RELATED_IMAGE_LOKI' },
    { kind: 'DatadogAgent', group: 'datadoghq.com' },
    { kind: 'DynaKube', group: 'dynatrace.com' },
  ],
}
