import { isDeepStrictEqual } from 'node:util'
import { isErrorCode } from '../core/errors.ts'
import { type Clash, planMerge, type Versions } from './plan-merge.ts'
import { pathText, shownValue } from './print.ts'
import { readValuesTree, type ValuesTree } from './tree.ts'
import { writeChanges } from './write-changes.ts'

/** A value that the site and the new bundle both changed, each in its own way. */
export interface MergeConflict {
  /** keys joined by dots: `a.b.c`; a key that is not a word is in brackets: `a["x.y"]` */
  path: string
  /** YAML on one line, at most 80 characters, secrets as `***`; `(removed)` where the key is gone */
  ours: string
  theirs: string
}

export interface MergedValues {
  text: string
  /** paths that only the site had changed, and whose values were carried over */
  kept: string[]
  /** values that both changed; empty where `prefer` is theirs */
  conflicts: MergeConflict[]
}

/**
 * Merges a values file three ways: `base` is the file of the old bundle, `ours` that of the site, `theirs` that of the new bundle.
 * The text is theirs with the site's changes; everything else stays byte for byte. Maps are merged by key; a list or a scalar is one
 * value. Values are compared with aliases and merge keys resolved. `prefer` says which side wins where both changed a value.
 * Throws VALUES_INVALID with the line where one of the three is unreadable, and with the path where a change cannot be
 * written without changing another value.
 */
export function mergeValues(
  options: Versions<string> & { name: string; prefer?: 'ours' | 'theirs' },
): MergedValues {
  const trees = readTrees(options)
  const { base, ours, theirs } = trees
  const plan = planMerge(valuesOf(trees), options.prefer)
  const text = () => writeChanges(trees, { changes: plan.changes, expected: plan.merged, name: options.name })
  return {
    text: theirs.text === base.text ? ours.text : text(),
    kept: plan.kept.map(pathText),
    conflicts: plan.clashes.map(conflictOf),
  }
}

/** Whether ours has everything that is new in theirs: a merge would change no value. False where a version is unreadable. */
export function hasMerged(options: Versions<string> & { name: string }): boolean {
  try {
    const values = valuesOf(readTrees(options))
    return isDeepStrictEqual(planMerge(values).merged, values.ours)
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

function valuesOf({ base, ours, theirs }: Versions<ValuesTree>) {
  return { base: base.value, ours: ours.value, theirs: theirs.value }
}

function conflictOf({ path, ours, theirs }: Clash): MergeConflict {
  return { path: pathText(path), ours: shownValue(ours, path), theirs: shownValue(theirs, path) }
}
