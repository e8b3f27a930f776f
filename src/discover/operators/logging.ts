import type { ComposeRule, OperatorRules } from './rule.ts'

const logging = 'ghcr.io/kube-logging/logging-operator'

export const loggingOperator: OperatorRules = {
  operator: 'Logging operator',
  source:
    'github.com/kube-logging/logging-operator 5.4.0 to 6.7.0: pkg/sdk/logging/api/v1beta1/logging_types.go',
  program: 'logging-operator',
  knownTo: '6.7.0',
  defaults: {
    fluentBit: {
      '5.4.0': '3.2.5',
      '6.0.0': '4.0.3',
      '6.2.0': '4.2.0',
      '6.3.0': '4.2.2',
      '6.5.0': '5.0.3',
      '6.5.1': '5.0.5',
    },
    tag: { '5.4.0': '{program.version}' },
    syslogNg: {
      '5.4.0': '4.11.0',
      '6.0.0': '4.13.0',
      '6.1.0': '4.18.1',
      '6.2.0': '4.20.0',
      '6.3.0': '4.21.0',
      '6.4.0': '4.22.0',
      '6.5.0': '4.24.0',
      '6.5.1': '4.25.0',
    },
    exporter: { '5.4.0': '0.0.9', '6.1.0': '0.0.13', '6.2.0': '0.0.14', '6.3.0': '0.0.15' },
  },
  composes: [
    ...(['spec.fluentbit', 'spec'] as const).map(
      (path): ComposeRule => ({
        kind: path === 'spec' ? 'FluentbitAgent' : 'Logging',
        group: 'logging.banzaicloud.io',
        when: path,
        image: `{${path}.image.repository|ghcr.io/fluent/fluent-bit}:{${path}.image.tag|default:fluentBit}`,
      }),
    ),
    ...(['spec.fluentd', 'spec'] as const).flatMap((path): ComposeRule[] => [
      {
        kind: path === 'spec' ? 'FluentdConfig' : 'Logging',
        group: 'logging.banzaicloud.io',
        when: path,
        unless: [`${path}.image.tag`],
        image: `{${path}.image.repository|${logging}/fluentd}:{default:tag}-full`,
      },
      {
        kind: path === 'spec' ? 'FluentdConfig' : 'Logging',
        group: 'logging.banzaicloud.io',
        when: path,
        image: `{${path}.configReloaderImage.repository|${logging}/config-reloader}:{${path}.configReloaderImage.tag|default:tag}`,
      },
    ]),
    ...(['spec.syslogNG', 'spec'] as const).flatMap((path): ComposeRule[] => {
      const kind = path === 'spec' ? 'SyslogNGConfig' : 'Logging'
      const group = 'logging.banzaicloud.io'
      return [
        {
          kind,
          group,
          when: path,
          image: `{${path}.syslogNGImage.repository|ghcr.io/axoflow/axosyslog}:{${path}.syslogNGImage.tag|default:syslogNg}`,
        },
        {
          kind,
          group,
          when: path,
          image: `{${path}.configReloadImage.repository|${logging}/syslog-ng-reloader}:{${path}.configReloadImage.tag|default:tag}`,
        },
        {
          kind,
          group,
          when: `${path}.metrics`,
          image: `{${path}.metricsExporterImage.repository|ghcr.io/axoflow/axosyslog-metrics-exporter}:{${path}.metricsExporterImage.tag|default:exporter}`,
        },
      ]
    }),
  ],
}
