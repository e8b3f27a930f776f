import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { defined } from '../core/defined.ts'
import { type Digest, digestOf, hexOf } from '../core/digest.ts'
import { errnoOf, fromSystemError, isErrorCode } from '../core/errors.ts'
import { backupPathOf, readGuarded, replaceGuarded } from '../core/guarded-file.ts'
import { hasMerged, type MergeConflict, mergeValues } from '../values/merge.ts'
import { readValuesRecord, writeValuesRecord } from '../values/record.ts'
import { isBlank, refuseDamaged, writtenTexts } from '../values/revise.ts'

/**
 * Values files and group variables change on every site, and with every new version of the tree. The versions that were laid down
 * are kept, so that both changes can be merged.
 */
const mergeable = /^(?:environments\/.+|(?:.+\/)?group_vars\/.+)\.ya?ml$/
const maxSize = 1 << 20 /* bytes */

export function isMergeable(path: string, size: number): boolean {
  return mergeable.test(path) && size <= maxSize
}

/** Keeps a version for a later merge; `folder` holds them by digest. */
export async function keepBase(folder: string, text: string): Promise<void> {
  const path = baseIn(folder, digestOf(text))
  if ((await stat(path).catch(() => undefined)) !== undefined) return
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeAtomically(path, text, 0o600)
}

function baseIn(folder: string, digest: Digest): string {
  return join(folder, hexOf(digest))
}

export interface MergedFile {
  /** of the merged file */
  digest: Digest
  kept: string[]
  conflicts: MergeConflict[]
}

export interface MergeOptions {
  /** the version that the file was made from; undefined if unknown */
  base: Digest | undefined
  bases: string
  theirs: string
  /** path of the record of our settings in it (values/record.ts) */
  record: string
}

/**
 * Merges the new version of a file with the site's changes of the old one, in place; our backup of the original and the record of our
 * settings follow, so that the settings can still be rolled back. Returns undefined, and changes nothing, where no merge is
 * possible: without the old version, or where one is not YAML that can be edited. Throws VALUES_INVALID where the site's file is damaged.
 */
export async function mergeFile(target: string, options: MergeOptions): Promise<MergedFile | undefined> {
  const { base, bases, theirs, record } = options
  const old = base && (await readBase(bases, base))
  const found = await readGuarded(target, maxSize)
  if (base === undefined || old === undefined || found === undefined) return undefined
  const ours = found.bytes.toString('utf8')
  const settings = await readValuesRecord(record)
  const before = settings?.before ?? old
  const written = await unlessInvalid(async () =>
    settings === undefined ? [] : writtenTexts(settings, { before, name: target }),
  )
  const backup = settings === undefined ? baseIn(bases, base) : backupPathOf(target)
  refuseDamaged(ours, { known: [old, before, ...(written ?? [])], name: target, backup })
  return await unlessInvalid(async () => {
    const versions = { base: old, theirs, name: target }
    const merged = mergeValues({ ...versions, ours })
    // an empty file would count as damaged next time
    const text = isBlank(merged.text) ? '{}\n' : merged.text
    await follow(target, { ...versions, record, rewritten: { from: digestOf(ours), to: digestOf(text) } })
    await replaceGuarded(target, text, found)
    return { digest: digestOf(text), kept: merged.kept, conflicts: merged.conflicts }
  })
}

/** Whether people have merged the new version by hand: the file lacks nothing that is new. If so, the backup follows. */
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

/** For a file that has the new version already: backup and record of our settings follow where they can. */
export async function followFile(
  target: string,
  { base, bases, theirs, record }: MergeOptions,
): Promise<void> {
  const old = base && (await readBase(bases, base))
  if (old === undefined) return
  await unlessInvalid(() => follow(target, { base: old, theirs, name: target, record }))
}

interface Followed {
  base: string
  theirs: string
  name: string
  record: string
  /** digests of the file before and after the merge: it stays unedited where it was */
  rewritten?: { from: Digest; to: Digest }
}

/** Changes backup and record or, throwing VALUES_INVALID, neither. */
async function follow(target: string, { record, rewritten, ...versions }: Followed): Promise<void> {
  const merged = (ours: string) => mergeValues({ ...versions, ours }).text
  const path = backupPathOf(target)
  const backup = await readGuarded(path, maxSize)
  const original = backup && merged(backup.bytes.toString('utf8'))
  const known = await readValuesRecord(record)
  if (known !== undefined) {
    const { written } = known
    const unedited = rewritten !== undefined && written?.includes(rewritten.from) === true
    const next = unedited ? [...(written ?? []), rewritten.to] : written
    await writeValuesRecord(record, { ...known, before: merged(known.before), ...defined({ written: next }) })
  }
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

/** Reads a version that was kept; undefined if it is missing or damaged. */
export async function readBase(folder: string, base: Digest): Promise<string | undefined> {
  const text = await textOf(baseIn(folder, base))
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
