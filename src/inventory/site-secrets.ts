import type { Mistake } from '../document/positioned.ts'
import type { SiteFile } from './schema.ts'

/** The secrets of site.yaml by their path in the values: `keycloak.adminPassword`. */
export function siteSecrets({ secrets }: Pick<SiteFile, 'secrets'>): Map<string, string> {
  return new Map(
    leavesOf(secrets, []).flatMap(({ path, value }) =>
      typeof value === 'string' ? [[path.join('.'), value] as const] : [],
    ),
  )
}

/** What is neither a text nor a map of such. No message has a value. */
export function secretMistakes({ secrets }: Pick<SiteFile, 'secrets'>): Mistake[] {
  return leavesOf(secrets, []).flatMap(({ path, value }): Mistake[] => {
    const named = ['secrets', ...path].join('.')
    const place = ['secrets', ...path]
    if (path.some(name => !/^[A-Za-z][A-Za-z0-9_-]{0,99}$/.test(name)))
      return [
        { path: place, part: 'key', what: `${named}: each key must be a name of letters, digits, _ and -` },
      ]
    if (typeof value === 'string' && value !== '') return []
    const what = value === '' ? 'must not be empty' : 'must be text or a map; write a number in quotes'
    return [{ path: place, what: `${named}: ${what}` }]
  })
}

function leavesOf(value: unknown, path: readonly string[]): { path: readonly string[]; value: unknown }[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [{ path, value }]
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, [...path, key]))
}
