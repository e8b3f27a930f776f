import { isDeepStrictEqual } from 'node:util'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { isSecretName } from '../core/secret-names.ts'
import { type Blocked, type Changes, editValues } from './values-changes.ts'
import { flowText } from './values-text.ts'
import { type Plain, type PlainMap, readValuesTree, type ValuesTree } from './values-tree.ts'

/** A value that the site and the new bundle both changed, each in its own way. */
export interface MergeConflict {
  /** keys joined by dots: `a.b.c`; a key that is no word stands in brackets: `a["x.y"]` */
  path: string
  /** YAML on one line, at most 80 characters, secrets as `***`; `(removed)` where the key is gone */
  ours: string
  theirs: string
}

export interface MergedValues {
  text: string
  /** paths that the site had changed and that were carried over */
  kept: string[]
  /** both changed: the site's value stands; empty where theirs does */
  conflicts: MergeConflict[]
}

/**
 * Three-way merge of a values file: `base` as the old bundle had it, `ours` as it is on the site, `theirs` as the new bundle has it.
 * The text is theirs with the site's changes put in; everything else stays byte for byte. Maps are merged by key; a list or a
 * scalar is one value. Values are compared with aliases and merge keys resolved. Throws VALUES_INVALID, naming the file's line or
 * the path, where one of the three cannot be read, or where a change cannot be put in without changing another value. `stands`: whose value it is where both changed it.
 */
export function mergeValues(
  options: Versions<string> & { name: string; stands?: 'ours' | 'theirs' },
): MergedValues {
  const { name } = options
  const { base, ours, theirs } = readTrees(options)
  const merge = new Merge(options.stands)
  const plan = merge.maps({ base: base.value, ours: ours.value, theirs: theirs.value, path: [] })
  const { kept, conflicts } = merge
  if (theirs.text === base.text) return { text: ours.text, kept, conflicts }
  if (plan.changes.size === 0) return { text: theirs.text, kept, conflicts }
  const { text, blocked } = editValues({ base, ours, theirs }, plan)
  verify(text, { expected: plan.merged, blocked, name })
  return { text, kept, conflicts }
}

/** Whether everything that is new in `theirs` is in ours already, by values: a merge would change none. False where one is unreadable. */
export function hasMerged(options: Versions<string> & { name: string }): boolean {
  try {
    const { base, ours, theirs } = readTrees(options)
    const values = { base: base.value, ours: ours.value, theirs: theirs.value }
    return isDeepStrictEqual(new Merge().maps({ ...values, path: [] }).merged, ours.value)
  } catch (error) {
    if (isErrorCode(error, 'VALUES_INVALID')) return false
    throw error
  }
}

function readTrees({ base, ours, theirs, name }: Versions<string> & { name: string }): Versions<ValuesTree> {
  return {
    base: readValuesTree(base, { name, whose: 'the file of the old bundle' }),
    ours: readValuesTree(ours, { name, whose: 'the file of this site' }),
    theirs: readValuesTree(theirs, { name, whose: 'the file of the new bundle' }),
  }
}

interface Versions<T> {
  base: T
  ours: T
  theirs: T
}

/** The merge of the values alone. */
class Merge {
  readonly kept: string[] = []
  readonly conflicts: MergeConflict[] = []
  private readonly stands: 'ours' | 'theirs'

  constructor(stands: 'ours' | 'theirs' = 'ours') {
    this.stands = stands
  }

  maps({ base, ours, theirs, path }: Versions<PlainMap> & { path: readonly string[] }): {
    merged: PlainMap
    changes: Changes
  } {
    const merged: PlainMap = new Map()
    const changes: Changes = new Map()
    for (const key of new Set([...theirs.keys(), ...ours.keys()])) {
      const value = { base: base.get(key), ours: ours.get(key), theirs: theirs.get(key) }
      const here = [...path, key]
      if (isDeepStrictEqual(value.ours, value.base) || isDeepStrictEqual(value.ours, value.theirs)) {
        if (value.theirs !== undefined) merged.set(key, value.theirs)
      } else if (value.theirs instanceof Map && (value.ours instanceof Map || this.isEmptied(value))) {
        const inner = this.maps({
          base: mapOf(value.base),
          ours: mapOf(value.ours),
          theirs: value.theirs,
          path: here,
        })
        merged.set(key, inner.merged)
        if (inner.changes.size > 0) changes.set(key, inner.changes)
      } else if (this.stands === 'theirs' && !isDeepStrictEqual(value.theirs, value.base)) {
        if (value.theirs !== undefined) merged.set(key, value.theirs)
      } else {
        changes.set(key, 'ours')
        if (value.ours !== undefined) merged.set(key, value.ours)
        this.note(here, value)
      }
    }
    return { merged, changes }
  }

  /** A map that ours has no longer, and theirs has changed: what theirs added to it stays. */
  private isEmptied({ base, theirs }: Versions<Plain | undefined>): boolean {
    return this.stands === 'theirs' && base instanceof Map && !isDeepStrictEqual(theirs, base)
  }

  private note(path: readonly string[], { base, ours, theirs }: Versions<Plain | undefined>): void {
    if (isDeepStrictEqual(theirs, base)) this.kept.push(pathText(path))
    else {
      const secret = path.some(isSecretName)
      this.conflicts.push({
        path: pathText(path),
        ours: shown(ours, secret),
        theirs: shown(theirs, secret),
      })
    }
  }
}

function mapOf(value: Plain | undefined): PlainMap {
  return value instanceof Map ? value : new Map()
}

const maxShown = 80

function shown(value: Plain | undefined, secret: boolean): string {
  if (value === undefined) return '(removed)'
  if (secret) return '***'
  // a password inside an address
  const text = flowText(value, isSecretName).replace(/:\/\/[^/@\s"]+@/g, '://***@')
  return text.length <= maxShown ? text : `${text.slice(0, maxShown - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
}

function pathText(path: readonly string[]): string {
  return path
    .map((key, i) => (/^[\w-]+$/.test(key) ? `${i > 0 ? '.' : ''}${key}` : `[${JSON.stringify(key)}]`))
    .join('')
}

/** Nothing is ever half right: the text has the merged values, or there is none. */
function verify(
  text: string,
  { expected, blocked, name }: { expected: PlainMap; blocked: readonly Blocked[]; name: string },
): void {
  let wrong: readonly string[] = blocked[0]?.path ?? []
  let cause: unknown
  try {
    const { value } = readValuesTree(text, { name, whose: 'the merged file' })
    if (isDeepStrictEqual(value, expected)) return
    wrong = firstDifference(value, expected)
  } catch (error) {
    cause = error
  }
  const reason = blocked.find(({ path }) =>
    path.every((key, i) => wrong[i] === undefined || wrong[i] === key),
  )
  const path = reason !== undefined && reason.path.length > wrong.length ? reason.path : wrong
  const why = reason?.why ?? 'a change beside it changes it, too (an alias, maybe)'
  throw new AirgapError('VALUES_INVALID', `${pathText(path) || 'the file'} cannot be merged: ${why}`, {
    item: name,
    likely: 'an alias, a merge key or an unusual way to write YAML around it',
    next: 'write the value out in full on the site, without alias and merge key, or make the change in the new file by hand; nothing was changed',
    cause,
  })
}

function firstDifference(found: PlainMap, expected: PlainMap): string[] {
  for (const key of new Set([...expected.keys(), ...found.keys()])) {
    const [one, other] = [found.get(key), expected.get(key)]
    if (isDeepStrictEqual(one, other)) continue
    return one instanceof Map && other instanceof Map ? [key, ...firstDifference(one, other)] : [key]
  }
  return []
}
