import { isDeepStrictEqual } from 'node:util'
import type { Plain, PlainMap } from './tree.ts'

/** Three versions: an old one, what the site made of it, and a new one of the bundle. */
export interface Versions<T> {
  base: T
  ours: T
  theirs: T
}

/** Keys of `theirs` that get our value (a key that ours lacks is removed), or in whose map there are such keys. */
export type Changes = Map<string, 'ours' | Changes>

/** A value that differs in all three. */
export interface Clash {
  path: readonly string[]
  ours: Plain | undefined
  theirs: Plain | undefined
}

export interface MergePlan {
  merged: PlainMap
  /** what turns `theirs` into `merged` */
  changes: Changes
  /** paths that only ours changed */
  kept: (readonly string[])[]
  clashes: Clash[]
}

/**
 * Merges values three ways: maps by key; a list or a scalar is one value. `prefer` says which side wins where both changed a value;
 * clashes are recorded where it is ours.
 */
export function planMerge(versions: Versions<PlainMap>, prefer: 'ours' | 'theirs' = 'ours'): MergePlan {
  const plan: MergePlan = { merged: new Map(), changes: new Map(), kept: [], clashes: [] }
  mergeMaps(versions, { plan, prefer, path: [] })
  return plan
}

function mergeMaps(
  { base, ours, theirs }: Versions<PlainMap>,
  { plan, prefer, path: parent }: { plan: MergePlan; prefer: 'ours' | 'theirs'; path: readonly string[] },
): void {
  const { merged, changes, kept, clashes } = plan
  for (const key of new Set([...theirs.keys(), ...ours.keys()])) {
    const value = { base: base.get(key), ours: ours.get(key), theirs: theirs.get(key) }
    const path = [...parent, key]
    const changedByTheirs = !isDeepStrictEqual(value.theirs, value.base)
    const theirsPreferred = prefer === 'theirs' && changedByTheirs
    // a map that ours lost: what theirs added to it stays
    const lost = theirsPreferred && value.base instanceof Map
    if (isDeepStrictEqual(value.ours, value.base) || isDeepStrictEqual(value.ours, value.theirs)) {
      if (value.theirs !== undefined) merged.set(key, value.theirs)
    } else if (value.theirs instanceof Map && (value.ours instanceof Map || lost)) {
      const inside: MergePlan = { merged: new Map(), changes: new Map(), kept, clashes }
      const inner = { base: mapOf(value.base), ours: mapOf(value.ours), theirs: value.theirs }
      mergeMaps(inner, { plan: inside, prefer, path })
      merged.set(key, inside.merged)
      if (inside.changes.size > 0) changes.set(key, inside.changes)
    } else if (theirsPreferred) {
      if (value.theirs !== undefined) merged.set(key, value.theirs)
    } else {
      changes.set(key, 'ours')
      if (value.ours !== undefined) merged.set(key, value.ours)
      if (changedByTheirs) clashes.push({ path, ours: value.ours, theirs: value.theirs })
      else kept.push(path)
    }
  }
}

function mapOf(value: Plain | undefined): PlainMap {
  return value instanceof Map ? value : new Map()
}
