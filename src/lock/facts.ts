import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { joinedLines, toTextLines } from './text-lines.ts'

/** One value that differs between two JSON documents: the smallest part that only one of them has, or that both have differently. */
export interface ChangedFact {
  /** `repositories[baseos].priority` */
  path: string
  /** absent: added */
  before?: unknown
  /** absent: removed */
  after?: unknown
}

/**
 * Returns every value that differs, sorted by path. Elements of a list are paired by what identifies them (the text itself, a name, an id, a
 * path), so that an inserted element is one difference. A text of several lines equals the list of its lines.
 */
export function changedFacts(before: unknown, after: unknown): ChangedFact[] {
  return differences(before, after, '').sort((a, b) => compareText(a.path, b.path))
}

function differences(before: unknown, after: unknown, path: string): ChangedFact[] {
  if (before === undefined && after === undefined) return []
  if (before === undefined) return [{ path, after }]
  if (after === undefined) return [{ path, before }]
  if (Array.isArray(before) || Array.isArray(after)) {
    const [old, fresh] = [before, after].map(value =>
      typeof value === 'string' ? toTextLines(value) : value,
    )
    if (Array.isArray(old) && Array.isArray(fresh)) return differencesOfLists(old, fresh, path)
  }
  if (isObject(before) && isObject(after)) {
    const [old, fresh] = [new Map(Object.entries(before)), new Map(Object.entries(after))]
    return differencesOf(old, fresh, key => (path === '' ? key : `${path}.${key}`))
  }
  return canonicalJson(before) === canonicalJson(after) ? [] : [{ path, before, after }]
}

function differencesOfLists(
  before: readonly unknown[],
  after: readonly unknown[],
  path: string,
): ChangedFact[] {
  // most lists of lines are equal, and long
  if (before.length === after.length && before.every((element, i) => element === after[i])) return []
  const isNamed = [before, after].every(list => new Set(list.map(identityOf)).size === list.length)
  const [old, fresh] = [elementsOf(before, isNamed), elementsOf(after, isNamed)]
  return differencesOf(old, fresh, key => `${path}[${key}]`)
}

function differencesOf(
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>,
  pathOf: (key: string) => string,
): ChangedFact[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap(key =>
    differences(before.get(key), after.get(key), pathOf(key)),
  )
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function elementsOf(list: readonly unknown[], isNamed: boolean): Map<string, unknown> {
  return new Map(
    list.map((element, i) => [(isNamed ? identityOf(element) : undefined) ?? String(i), element]),
  )
}

function identityOf(element: unknown): string | undefined {
  if (typeof element === 'string') return element
  if (Array.isArray(element) && element.length > 0 && element.every(line => typeof line === 'string'))
    return joinedLines(element)
  if (typeof element !== 'object' || element === null) return undefined
  const { name, id, path, entry, archive, suite } = element as Record<string, unknown>
  if (typeof archive === 'string') return `${archive} ${String(suite)}`
  return [name, id, path, entry].find(key => typeof key === 'string')
}
