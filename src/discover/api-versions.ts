import { readYamlStream } from '../document/parse-yaml.ts'
import type { ChartFiles } from './chart-files.ts'
import { isRecord } from './documents.ts'
import { isKubernetesApi } from './kubernetes-apis.ts'

/** The APIs that charts check for (`.Capabilities.APIVersions.Has`), and those that releases add to the cluster. */

/** Whether the result of a chart depends on the APIs of the cluster. */
export function dependsOnApis(files: ChartFiles): boolean {
  return [...files.values()].some(text => text.includes('APIVersions'))
}

/** Returns the APIs that a chart checks for, of those that do not belong to Kubernetes itself: `monitoring.coreos.com/v1`. */
export function checkedApis(files: ChartFiles): string[] {
  const checked = [...files.values()].flatMap(text =>
    [...text.matchAll(/APIVersions\.Has\s+(?:\(\s*)?["'`]([A-Za-z0-9.-]+\/[A-Za-z0-9/]+)["'`]/g)].map(
      match => match[1]!,
    ),
  )
  return [...new Set(checked)].filter(api => !isKubernetesApi(api)).sort()
}

/**
 * Returns the APIs that the objects of a release add to the cluster: of CustomResourceDefinitions (each served version, with its
 * kind) and of APIServices. Text that is not YAML adds none: it is reported elsewhere.
 */
export function providedApis(rendered: string): string[] {
  const documents = rendered
    .split(/^---(?=[ \t\r\n]|$)/m)
    .filter(text => /^kind: *["']?(?:CustomResourceDefinition|APIService)["']? *$/m.test(text))
  const apis = documents.flatMap(text =>
    readYamlStream(withoutSchemas(text), { tags: 'ignore', duplicates: 'last' }).values.flatMap(apisOf),
  )
  return [...new Set(apis)].sort()
}

/** The schemas are megabytes, which take seconds to parse. */
function withoutSchemas(text: string): string {
  let hidden = Number.POSITIVE_INFINITY
  const kept = text.split('\n').filter(line => {
    const indent = /^ *(?=\S)/.exec(line)?.[0].length
    if (indent === undefined || indent > hidden) return hidden === Number.POSITIVE_INFINITY
    hidden = /^ +schema: *$/.test(line) ? indent : Number.POSITIVE_INFINITY
    return hidden === Number.POSITIVE_INFINITY
  })
  return kept.join('\n')
}

function apisOf(object: unknown): string[] {
  const spec = isRecord(object) ? object['spec'] : undefined
  if (!isRecord(object) || !isRecord(spec) || typeof spec['group'] !== 'string') return []
  const { group } = spec
  if (object['kind'] === 'APIService')
    return typeof spec['version'] === 'string' ? [`${group}/${spec['version']}`] : []
  const kind = isRecord(spec['names']) ? spec['names']['kind'] : undefined
  // apiextensions.k8s.io/v1beta1 had one version without a list
  const versions = Array.isArray(spec['versions'])
    ? spec['versions']
    : [{ name: spec['version'], served: true }]
  return versions.flatMap(version => {
    if (!isRecord(version) || version['served'] === false || typeof version['name'] !== 'string') return []
    const api = `${group}/${version['name']}`
    return typeof kind === 'string' ? [api, `${api}/${kind}`] : [api]
  })
}
