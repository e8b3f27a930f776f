import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../content/layout-store.ts'
import { type Digest, digestOf, hexOf } from '../core/digest.ts'
import { errnoOf, fromSystemError, isErrorCode } from '../core/errors.ts'
import { backupPathOf, readGuarded, replaceGuarded } from '../site/guarded-file.ts'
import { type MergeConflict, mergeValues } from '../site/merge-values.ts'

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

/**
 * Brings the new version of a file and what the site made of the old one together, in its place; our backup of the original follows, so
 * that it can still be taken back. Undefined, and nothing changed, where that cannot be done: no old version, or no YAML that can be edited.
 */
export async function mergeFile(
  target: string,
  options: { base: Digest; bases: string; theirs: string; name: string },
): Promise<MergedFile | undefined> {
  const { bases, theirs, name } = options
  const base = await textOf(join(bases, hexOf(options.base)))
  const ours = await readGuarded(target, maxSize)
  if (base === undefined || ours === undefined || digestOf(base) !== options.base) return undefined
  try {
    const merged = mergeValues({ base, ours: ours.bytes.toString('utf8'), theirs, name })
    const backup = await readGuarded(backupPathOf(target), maxSize)
    if (backup !== undefined) {
      const original = mergeValues({ base, ours: backup.bytes.toString('utf8'), theirs, name })
      await replaceGuarded(backupPathOf(target), original.text, backup)
    }
    await replaceGuarded(target, merged.text, ours)
    return { digest: digestOf(merged.text), kept: merged.kept, conflicts: merged.conflicts }
  } catch (error) {
    if (isErrorCode(error, 'VALUES_INVALID')) return undefined
    throw error
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  }
}
