import { mkdir, realpath, rmdir } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { digestOf } from '../core/digest.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { backupPathOf, keepBackup, readGuarded, removeGuarded, replaceGuarded } from '../core/guarded-file.ts'

/**
 * Configuration files that are written below a root: `/`, the root of another system, or a folder of ours. The file that was
 * there before is backed up beside the new one, and a record says what was written, so that all of it can be undone.
 */

/** A text and its path below the root. */
export interface ManagedFile {
  path: string
  text: string
}

export interface FileChange {
  /** absolute */
  path: string
  change: 'create' | 'replace' | 'remove' | 'none'
}

const maxSize = 1 << 20 /* bytes */

/** Returns what writing the files would change. Changes nothing. */
export async function planFiles(
  files: readonly ManagedFile[],
  { root }: { root: string },
): Promise<FileChange[]> {
  return await Promise.all(
    files.map(async ({ path: relativePath, text }): Promise<FileChange> => {
      const path = join(root, relativePath)
      const found = await readGuarded(path, maxSize)
      if (found === undefined) return { path, change: 'create' }
      return { path, change: found.bytes.equals(Buffer.from(text)) ? 'none' : 'replace' }
    }),
  )
}

export interface WriteOptions {
  root: string
  /** path of the record */
  record: string
  /** whether a file that was written below this root earlier, and is not among the files, is undone: a withdrawn CA must not stay trusted */
  obsolete?: (path: string) => boolean
}

/**
 * Writes the files, each atomically and readable by all. A file that somebody else wrote is backed up first. Obsolete files are
 * undone before. Throws PERMISSION, VALUES_INVALID (a link in place of a file), NO_SPACE.
 */
export async function writeFiles(
  files: readonly ManagedFile[],
  { root, record, obsolete = () => false }: WriteOptions,
): Promise<FileChange[]> {
  const written = await readRecord(record)
  const wanted = new Set(files.map(({ path }) => join(root, path)))
  const removed: FileChange[] = []
  for (const [path, file] of [...written]) {
    if (file.root !== root || wanted.has(path) || !obsolete(relative(root, path))) continue
    const result = await undoFile(path, file.digest)
    if (result === 'removed') await removeEmptyFolders(dirname(path), root)
    if (result !== 'kept: changed since' && result !== 'gone') removed.push({ path, change: 'remove' })
    written.delete(path)
    await writeRecord(record, written)
  }
  const plan = await planFiles(files, { root })
  for (const [i, { text }] of files.entries()) {
    const { path, change } = plan[i]!
    if (change === 'none') continue
    await makeFolder(dirname(path), root)
    const found = await readGuarded(path, maxSize)
    const ours = written.get(path)
    if (found !== undefined && ours?.digest !== digestOf(found.bytes))
      await keepBackup(backupPathOf(path), found)
    // recorded before it is written: after a run that was killed in between, undoing finds no file, and that is fine
    written.set(path, { digest: digestOf(text), root })
    await writeRecord(record, written)
    await replaceGuarded(path, text)
  }
  return [...removed, ...plan]
}

export interface UndoneFile {
  path: string
  result: 'restored' | 'removed' | 'kept: changed since' | 'gone'
}

/** Restores each file that was there before, and removes each that was not. A file that was changed since stays as it is. */
export async function undoFiles(record: string): Promise<UndoneFile[]> {
  const written = await readRecord(record)
  const results: UndoneFile[] = []
  for (const [path, { digest, root }] of [...written]) {
    const result = await undoFile(path, digest)
    results.push({ path, result })
    if (result === 'removed') await removeEmptyFolders(dirname(path), root)
    written.delete(path)
    await writeRecord(record, written)
  }
  return results
}

async function undoFile(path: string, digest: string): Promise<UndoneFile['result']> {
  const backup = backupPathOf(path)
  const [found, original] = await Promise.all([readGuarded(path, maxSize), readGuarded(backup, maxSize)])
  if (found !== undefined && digestOf(found.bytes) !== digest) {
    // a run was killed after it recorded the file and before it wrote it: the original is still in its place
    if (original === undefined || !original.bytes.equals(found.bytes)) return 'kept: changed since'
    await removeGuarded(backup)
    return 'restored'
  }
  if (original !== undefined) {
    await replaceGuarded(path, original.bytes, original)
    await removeGuarded(backup)
    return 'restored'
  }
  if (found === undefined) return 'gone'
  await removeGuarded(path)
  return 'removed'
}

/** A folder below another system's root may be a link with an absolute target, which would lead into this system. */
async function makeFolder(folder: string, root: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o755 })
    const [real, realRoot] = await Promise.all([realpath(folder), realpath(root)])
    if (real === realRoot || real.startsWith(realRoot.endsWith(sep) ? realRoot : `${realRoot}${sep}`)) return
    throw new AirgapError('VALUES_INVALID', `the folder is outside ${root}`, {
      item: folder,
      likely: `a symbolic link to ${real}`,
      next: 'replace the link with a folder, or correct --node-root',
    })
  } catch (error) {
    throw fromSystemError(error, folder)
  }
}

/** Removes an empty folder, unless it is near the root: `certs.d/HOST` was ours, `/etc` is not. */
async function removeEmptyFolders(folder: string, root: string): Promise<void> {
  if (relative(root, folder).split(sep).length < 4) return
  try {
    await rmdir(folder)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno !== 'ENOTEMPTY' && errno !== 'ENOENT') throw fromSystemError(error, folder)
  }
}

type Written = Map<string, { digest: string; root: string }>

const recordSchema = z.object({
  files: z.record(z.string(), z.object({ digest: z.string(), root: z.string() })),
})

async function readRecord(path: string): Promise<Written> {
  const file = await readGuarded(path, 64 * maxSize)
  if (file === undefined) return new Map()
  try {
    return new Map(Object.entries(recordSchema.parse(JSON.parse(file.bytes.toString('utf8'))).files))
  } catch (error) {
    throw new AirgapError('JOURNAL_INVALID', 'the record of written files is invalid', {
      item: path,
      likely: 'a damaged disk, or the file was edited',
      next: 'move it away; the files that it lists then stay as they are',
      cause: error,
    })
  }
}

async function writeRecord(path: string, written: Written): Promise<void> {
  await writeAtomically(path, canonicalJson({ files: Object.fromEntries(written) }, 2), 0o600)
}
