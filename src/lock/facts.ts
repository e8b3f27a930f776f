import { compareText } from '../core/canonical-json.ts'

/** One value that differs between two JSON documents. */
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
 * path), so that an inserted element is one difference.
 */
export function changedFacts(before: unknown, after: unknown): ChangedFact[] {
  const [old, fresh] = [facts(before), facts(after)]
  return [...new Set([...old.keys(), ...fresh.keys()])]
    .filter(path => old.get(path) !== fresh.get(path))
    .sort(compareText)
    .map(path => ({
      path,
      ...(old.has(path) ? { before: old.get(path) } : {}),
      ...(fresh.has(path) ? { after: fresh.get(path) } : {}),
    }))
}

function facts(value: unknown): Map<string, unknown> {
  const found = new Map<string, unknown>()
  const visit = (part: unknown, path: string): void => {
    if (Array.isArray(part)) {
      const keys = part.map(identityOf)
      const distinct = new Set(keys).size === keys.length
      for (const [i, element] of part.entries())
        visit(element, `${path}[${(distinct ? keys[i] : undefined) ?? i}]`)
    } else if (typeof part === 'object' && part !== null) {
      for (const [key, member] of Object.entries(part))
        if (member !== undefined) visit(member, path === '' ? key : `${path}.${key}`)
    } else found.set(path, part)
  }
  visit(value, '')
  return found
}

function identityOf(element: unknown): string | undefined {
  if (typeof element === 'string') return element
  if (typeof element !== 'object' || element === null) return undefined
  const { name, id, path, entry, archive, suite } = element as Record<string, unknown>
  if (typeof archive === 'string') return `${archive} ${String(suite)}`
  return [name, id, path, entry].find(key => typeof key === 'string')
}
