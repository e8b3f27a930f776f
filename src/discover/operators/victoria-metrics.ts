import type { ComposeRule, Condition, OperatorRules } from './rule.ts'

const group = 'operator.victoriametrics.com'

interface Component {
  kind: string
  image: string
  /** name of the default version */
  version: 'metrics' | 'logs' | 'traces' | 'anomaly' | 'alertmanager'
  /** path of the component; absent: the resource itself */
  part?: string
  suffix?: string
  when?: Condition
}

const component = ({ kind, image, version, part = 'spec', suffix = '', when }: Component): ComposeRule => ({
  kind,
  group,
  when: when ?? part,
  image: `{${part}.image.repository|${image}}:{${part}.image.tag|${part}.componentVersion|spec.clusterVersion|default:${version}}${suffix}`,
})

/** A version that the resource states has its suffix itself. */
const cluster = (part: string, image: string): ComposeRule[] => {
  const own = [`spec.${part}.image.tag`, `spec.${part}.componentVersion`, 'spec.clusterVersion']
  const whole = component({ kind: 'VMCluster', image, version: 'metrics', part: `spec.${part}` })
  return [
    ...own.map((path, i) => ({ ...whole, when: [`spec.${part}`, path], unless: own.slice(0, i) })),
    { ...whole, image: `${whole.image}-cluster`, unless: own },
  ]
}

const reloads = (kind: string): ComposeRule => ({
  kind,
  group,
  unless: ['spec.configReloaderImage', 'spec.configReloaderImageTag'],
  image: '{default:reloader}',
})

export const victoriaMetrics: OperatorRules = {
  operator: 'VictoriaMetrics operator',
  source:
    'github.com/VictoriaMetrics/operator v0.56.0 to v0.74.1: internal/config/config.go, internal/controller/operator/factory/build/defaults.go',
  program: 'victoriametrics/operator',
  knownTo: '0.74.1',
  defaults: {
    metrics: {
      '0.56.0': 'v1.115.0',
      '0.57.0': 'v1.116.0',
      '0.58.0': 'v1.117.0',
      '0.58.1': 'v1.118.0',
      '0.59.2': 'v1.119.0',
      '0.60.0': 'v1.120.0',
      '0.61.0': 'v1.121.0',
      '0.61.2': 'v1.122.0',
      '0.62.0': 'v1.123.0',
      '0.63.0': 'v1.125.0',
      '0.64.0': 'v1.128.0',
      '0.66.0': 'v1.131.0',
      '0.67.0': 'v1.134.0',
      '0.68.0': 'v1.136.0',
      '0.68.5': 'v1.144.0',
      '0.68.6': 'v1.146.0',
      '0.68.7': 'v1.147.0',
      '0.69.0': 'v1.140.0',
      '0.70.0': 'v1.143.0',
      '0.71.0': 'v1.145.0',
      '0.73.0': 'v1.147.0',
      '0.74.0': 'v1.148.0',
    },
    logs: {
      '0.60.0': 'v1.24.0',
      '0.61.0': 'v1.25.1',
      '0.62.0': 'v1.28.0',
      '0.63.0': 'v1.33.0',
      '0.64.0': 'v1.36.1',
      '0.67.0': 'v1.43.1',
      '0.68.0': 'v1.45.0',
      '0.68.2': 'v1.47.0',
      '0.68.5': 'v1.50.0',
      '0.68.6': 'v1.51.0',
      '0.69.0': 'v1.50.0',
      '0.73.0': 'v1.51.0',
      '0.74.0': 'v1.52.0',
    },
    traces: {
      '0.63.0': 'v0.1.0',
      '0.64.0': 'v0.4.0',
      '0.66.0': 'v0.5.0',
      '0.67.0': 'v0.7.0',
      '0.68.6': 'v0.9.3',
      '0.68.7': 'v0.9.4',
      '0.69.0': 'v0.7.0',
      '0.73.0': 'v0.9.4',
      '0.74.0': 'v0.10.0',
    },
    anomaly: {
      '0.60.0': 'v1.24.0',
      '0.60.1': 'v1.24.1',
      '0.62.0': 'v1.25.2',
      '0.64.0': 'v1.26.1',
      '0.67.0': 'v1.28.5',
      '0.68.5': 'v1.29.3',
      '0.68.6': 'v1.29.6',
      '0.68.7': 'v1.29.7',
      '0.69.0': 'v1.29.3',
      '0.73.0': 'v1.29.7',
      '0.74.0': 'v1.30.0',
    },
    alertmanager: { '0.56.0': 'v0.27.0', '0.57.0': 'v0.28.1', '0.66.0': 'v0.29.0', '0.68.0': 'v0.31.0' },
    reloader: {
      '0.66.0': 'victoriametrics/operator:config-reloader-v{program.version}',
    },
  },
  composes: [
    component({ kind: 'VMSingle', image: 'victoriametrics/victoria-metrics', version: 'metrics' }),
    component({ kind: 'VMAgent', image: 'victoriametrics/vmagent', version: 'metrics' }),
    component({ kind: 'VMAlert', image: 'victoriametrics/vmalert', version: 'metrics' }),
    component({ kind: 'VMAuth', image: 'victoriametrics/vmauth', version: 'metrics' }),
    component({ kind: 'VMAlertmanager', image: 'prom/alertmanager', version: 'alertmanager' }),
    component({ kind: 'VMAnomaly', image: 'victoriametrics/vmanomaly', version: 'anomaly' }),
    component({ kind: 'VLSingle', image: 'victoriametrics/victoria-logs', version: 'logs' }),
    component({ kind: 'VLAgent', image: 'victoriametrics/vlagent', version: 'logs' }),
    component({ kind: 'VTSingle', image: 'victoriametrics/victoria-traces', version: 'traces' }),
    ...['vlinsert', 'vlselect', 'vlstorage'].map(part =>
      component({
        kind: 'VLCluster',
        image: 'victoriametrics/victoria-logs',
        version: 'logs',
        part: `spec.${part}`,
      }),
    ),
    ...['insert', 'select', 'storage'].map(part =>
      component({
        kind: 'VTCluster',
        image: 'victoriametrics/victoria-traces',
        version: 'traces',
        part: `spec.${part}`,
      }),
    ),
    ...['vmselect', 'vminsert', 'vmstorage'].flatMap(part => cluster(part, `victoriametrics/${part}`)),
    ...['VMAgent', 'VMAlert', 'VMAlertmanager', 'VMAuth'].map(reloads),
  ],
}
