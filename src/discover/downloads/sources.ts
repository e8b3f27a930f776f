import type { RenderedObject } from '../documents.ts'
import { isRecord } from '../documents.ts'
import { concerns } from '../operators/gates.ts'
import type { ResourceRule } from '../operators/rule.ts'
import { sourceUrl } from './urls.ts'

/** Resources that make a controller fetch charts, manifests, disks, models or plugins: data. `[]` is each item of a list. */
const sources: readonly (ResourceRule & { paths: readonly string[] })[] = [
  ...['GitRepository', 'HelmRepository', 'OCIRepository'].map(kind => ({
    kind,
    group: 'source.toolkit.fluxcd.io',
    paths: ['spec.url'],
  })),
  { kind: 'Bucket', group: 'source.toolkit.fluxcd.io', paths: ['spec.endpoint'] },
  {
    kind: 'FluxInstance',
    group: 'fluxcd.controlplane.io',
    paths: ['spec.distribution.artifact', 'spec.sync.url'],
  },
  { kind: 'Application', group: 'argoproj.io', paths: ['spec.source.repoURL', 'spec.sources[].repoURL'] },
  {
    kind: 'ApplicationSet',
    group: 'argoproj.io',
    paths: [
      'spec.template.spec.source.repoURL',
      'spec.template.spec.sources[].repoURL',
      'spec.generators[].git.repoURL',
    ],
  },
  {
    kind: 'Workflow',
    group: 'argoproj.io',
    paths: ['spec.templates[].inputs.artifacts[].http.url', 'spec.templates[].inputs.artifacts[].git.repo'],
  },
  {
    kind: 'WorkflowTemplate',
    group: 'argoproj.io',
    paths: ['spec.templates[].inputs.artifacts[].http.url', 'spec.templates[].inputs.artifacts[].git.repo'],
  },
  { kind: 'HelmChart', group: 'helm.cattle.io', paths: ['spec.repo', 'spec.chart'] },
  { kind: 'GitRepo', group: 'fleet.cattle.io', paths: ['spec.repo'] },
  { kind: 'ClusterRepo', group: 'catalog.cattle.io', paths: ['spec.url', 'spec.gitRepo'] },
  { kind: 'Channel', group: 'apps.open-cluster-management.io', paths: ['spec.pathname'] },
  {
    kind: 'DataVolume',
    group: 'cdi.kubevirt.io',
    paths: [
      'spec.source.http.url',
      'spec.source.registry.url',
      'spec.source.imageio.url',
      'spec.source.s3.url',
    ],
  },
  {
    kind: 'DataImportCron',
    group: 'cdi.kubevirt.io',
    paths: ['spec.template.spec.source.registry.url', 'spec.template.spec.source.http.url'],
  },
  {
    kind: 'VirtualMachine',
    group: 'kubevirt.io',
    paths: [
      'spec.dataVolumeTemplates[].spec.source.http.url',
      'spec.dataVolumeTemplates[].spec.source.registry.url',
    ],
  },
  {
    kind: 'VirtualMachineImage',
    group: 'harvesterhci.io',
    paths: ['spec.url'],
  },
  {
    kind: 'InferenceService',
    group: 'serving.kserve.io',
    paths: ['spec.predictor.model.storageUri', 'spec.transformer.model.storageUri'],
  },
  { kind: 'LLMInferenceService', group: 'serving.kserve.io', paths: ['spec.model.uri'] },
  { kind: 'KafkaConnect', group: 'kafka.strimzi.io', paths: ['spec.build.plugins[].artifacts[].url'] },
  { kind: 'GrafanaDashboard', group: 'grafana.integreatly.org', paths: ['spec.url'] },
  { kind: 'WasmPlugin', group: 'extensions.istio.io', paths: ['spec.url'] },
  {
    kind: 'EnvoyExtensionPolicy',
    group: 'gateway.envoyproxy.io',
    paths: ['spec.wasm[].code.http.url', 'spec.wasm[].code.image.url'],
  },
  { kind: 'Addon', group: 'k0s.k0sproject.io', paths: ['spec.url'] },
  { kind: 'HelmRelease', group: 'helm.toolkit.fluxcd.io', paths: ['spec.chart.repository'] },
  {
    kind: 'Release',
    group: 'helm.crossplane.io',
    paths: ['spec.forProvider.chart.repository', 'spec.forProvider.chart.url'],
  },
]

/** Returns the addresses outside the site from which the controller of this resource fetches, with their paths. */
export function sourcesOf(object: RenderedObject): { url: string; path: string }[] {
  return sources
    .filter(rule => concerns(rule, object))
    .flatMap(({ paths }) => paths.flatMap(path => valuesAt(object.value, { path, at: '' })))
    .flatMap(({ value, path }) => {
      const url = sourceUrl(value)
      return url === undefined ? [] : [{ url, path }]
    })
}

function valuesAt(
  value: unknown,
  { path, at }: { path: string; at: string },
): { value: string; path: string }[] {
  if (path === '') return typeof value === 'string' ? [{ value, path: at }] : []
  const [first = '', ...rest] = path.split('.')
  const key = first.replace('[]', '')
  const inner = isRecord(value) ? value[key] : undefined
  const here = at === '' ? key : `${at}.${key}`
  const deeper = rest.join('.')
  if (!first.endsWith('[]')) return valuesAt(inner, { path: deeper, at: here })
  if (!Array.isArray(inner)) return []
  return inner.flatMap((item, i) => valuesAt(item, { path: deeper, at: `${here}[${i}]` }))
}
