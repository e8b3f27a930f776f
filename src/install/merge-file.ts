import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { type Digest, digestOf, hexOf } from '../core/digest.ts'
import { errnoOf, fromSystemError, isErrorCode } from '../core/errors.ts'
import { backupPathOf, readGuarded, replaceGuarded } from '../core/guarded-file.ts'
import { hasMerged, type MergeConflict, mergeValues } from '../site/merge-values.ts'
import { readValuesRecord, writeValuesRecord } from '../site/values-record.ts'

/**
 * Values files and variables of groups are changed on every site, and by every new version of the tree: their versions as they were laid
 * down are kept, so that both changes can be brought together.
 */
const mergeable = /^(?:environments\/.+|(?:.+\/)?group_vars\/.+)\.ya?ml$/
const maxSize = 1 << 20 /* bytes */

export function isMergeable(path: string, size: number): boolean {
  return mergeable.test(path) && size <= maxSize
}

/** Keeps a version for a later merge; `folder` holds them by digest. */
export async function keepBase(folder: string, text: string): Promise<void> {
  const path = join(folder, hexOf(digestOf(text)))
  if ((await stat(path).catch(() => undefined)) !== undefined) return
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeAtomically(path, text, 0o600)
}

export interface MergedFile {
  /** of what is in its place now */
  digest: Digest
  kept: string[]
  conflicts: MergeConflict[]
}

export interface MergeOptions {
  /** the version that the file comes from; undefined: nobody knows */
  base: Digest | undefined
  bases: string
  theirs: string
  /** what was set in it (site/values-record.ts) */
  record: string
}

/**
 * Brings the new version of a file and what the site made of the old one together, in its place; our backup of the original and the
 * record of what was set follow, so that it can still be taken back. Undefined, and nothing changed, where that cannot be done: no old
 * version, or no YAML that can be edited.
 */
export async function mergeFile(target: string, options: MergeOptions): Promise<MergedFile | undefined> {
  const { base, bases, theirs, record } = options
  const old = base && (await readBase(bases, base))
  const ours = await readGuarded(target, maxSize)
  if (old === undefined || ours === undefined) return undefined
  return await unlessInvalid(async () => {
    const versions = { base: old, theirs, name: target }
    const merged = mergeValues({ ...versions, ours: ours.bytes.toString('utf8') })
    await follow(target, { ...versions, record })
    await replaceGuarded(target, merged.text, ours)
    return { digest: digestOf(merged.text), kept: merged.kept, conflicts: merged.conflicts }
  })
}

/** Whether somebody brought the new version and the file together by hand: nothing that is new is missing in it. The backup follows. */
export async function wasMerged(target: string, options: MergeOptions): Promise<boolean> {
  const { base, bases, theirs, record } = options
  // without the old version, all of the new one is new
  const old = base === undefined ? '' : await readBase(bases, base)
  const ours = await readGuarded(target, maxSize)
  if (old === undefined || ours === undefined) return false
  const versions = { base: old, theirs, name: target }
  if (!hasMerged({ ...versions, ours: ours.bytes.toString('utf8') })) return false
  return (await unlessInvalid(() => follow(target, { ...versions, record }).then(() => true))) ?? false
}

/** The file has the new version already: the backup of what it was, and the record of what was set, follow if they can. */
export async function followFile(
  target: string,
  { base, bases, theirs, record }: MergeOptions,
): Promise<void> {
  const old = base && (await readBase(bases, base))
  if (old === undefined) return
  await unlessInvalid(() => follow(target, { base: old, theirs, name: target, record }))
}

/** Both or, throwing VALUES_INVALID, none. */
async function follow(
  target: string,
  { record, ...versions }: { base: string; theirs: string; name: string; record: string },
): Promise<void> {
  const merged = (ours: string) => mergeValues({ ...versions, ours }).text
  const path = backupPathOf(target)
  const backup = await readGuarded(path, maxSize)
  const original = backup && merged(backup.bytes.toString('utf8'))
  const known = await readValuesRecord(record)
  if (known !== undefined) await writeValuesRecord(record, { ...known, before: merged(known.before) })
  if (original !== undefined) await replaceGuarded(path, original, backup)
}

async function unlessInvalid<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (isErrorCode(error, 'VALUES_INVALID')) return undefined
    throw error
  }
}

/** Undefined where it is not kept any more, or damaged. */
export async function readBase(folder: string, base: Digest): Promise<string | undefined> {
  const text = await textOf(join(folder, hexOf(base)))
  return text !== undefined && digestOf(text) === base ? text : undefined
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  }
}
