import { textBefore } from '../core/trim.ts'
import type { ChartFiles } from './chart-files.ts'
import { isRecord } from './documents.ts'

/**
 * References of a chart's values.schema.json to other hosts. helm fetches these on every template, install and upgrade, so on a
 * closed site it fails before anything is installed.
 */

/** Part of every implementation of JSON Schema, so nothing is fetched. */
const metaSchemas = /^https?:\/\/json-schema\.org\/(?:draft-0[3-7]|draft\/20\d\d-\d\d)\//

/** Returns path in the chart → URLs that the schema refers to. Sorted; without schemas that refer to nothing. */
export function remoteReferences(files: ChartFiles): Map<string, string[]> {
  const found = [...files]
    .filter(([path]) => /(?:^|\/)values\.schema\.json$/.test(path))
    .map(([path, text]) => [path, referencesOf(text)] as const)
    .filter(([, urls]) => urls.length > 0)
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)))
}

function referencesOf(text: string): string[] {
  let schema: unknown
  try {
    schema = JSON.parse(text)
  } catch {
    return [] // helm reports it
  }
  const ids = new Set<string>()
  const references = new Set<string>()
  visit(schema, undefined)
  return [...references].filter(url => !ids.has(url) && !metaSchemas.test(url)).sort()

  /** `$id` (`id` in draft 4) changes the base of the references inside. */
  function visit(value: unknown, base: string | undefined): void {
    if (Array.isArray(value)) for (const item of value) visit(item, base)
    if (!isRecord(value)) return
    const id = typeof value['$id'] === 'string' ? value['$id'] : value['id']
    const own = typeof id === 'string' ? (resolved(id, base) ?? base) : base
    if (own !== undefined && own !== base) ids.add(withoutFragment(own))
    const reference = typeof value['$ref'] === 'string' ? resolved(value['$ref'], own) : undefined
    if (reference !== undefined && /^https?:/.test(reference)) references.add(withoutFragment(reference))
    for (const inner of Object.values(value)) visit(inner, own)
  }
}

function resolved(text: string, base: string | undefined): string | undefined {
  return URL.canParse(text, base) ? new URL(text, base).href : undefined
}

function withoutFragment(url: string): string {
  return textBefore(url, '#')
}
