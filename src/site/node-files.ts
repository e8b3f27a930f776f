import { mkdir, realpath, rmdir } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { digestOf } from '../core/digest.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { backupPathOf, keepBackup, readGuarded, removeGuarded, replaceGuarded } from '../core/guarded-file.ts'
import type { ClientFiles } from './mirror-files.ts'

/**
 * Configuration files on a machine of the site (`root` is `/`, or the root folder of another system). What was there before is
 * kept beside it, what we wrote is remembered, so that all of it can be taken back.
 */

export interface NodeFile {
  path: string
  change: 'create' | 'replace' | 'none'
}

const maxSize = 1 << 20 /* bytes */

/** What writing the files would change. Changes nothing. */
export async function planNodeFiles(files: ClientFiles, { root }: { root: string }): Promise<NodeFile[]> {
  return await Promise.all(
    [...files].map(async ([name, text]): Promise<NodeFile> => {
      const path = join(root, name)
      const found = await readGuarded(path, maxSize)
      if (found === undefined) return { path, change: 'create' }
      return { path, change: found.bytes.equals(Buffer.from(text)) ? 'none' : 'replace' }
    }),
  )
}

/**
 * Writes the files, each atomically and readable by all; what another one wrote is backed up first. `record` is where it is
 * remembered. Throws PERMISSION, VALUES_INVALID (a link in place of a file), NO_SPACE.
 */
export async function writeNodeFiles(
  files: ClientFiles,
  { root, record }: { root: string; record: string },
): Promise<NodeFile[]> {
  const written = await readRecord(record)
  const plan = await planNodeFiles(files, { root })
  for (const [i, text] of [...files.values()].entries()) {
    const { path, change } = plan[i]!
    if (change === 'none') continue
    await makeFolder(dirname(path), root)
    const found = await readGuarded(path, maxSize)
    const ours = written.get(path)
    if (found !== undefined && ours?.digest !== digestOf(found.bytes))
      await keepBackup(backupPathOf(path), found)
    // remembered before it is written: a run that is killed in between takes back a file that is not there
    written.set(path, { digest: digestOf(text), root })
    await writeRecord(record, written)
    await replaceGuarded(path, text)
  }
  return plan
}

export interface TakenBack {
  path: string
  result: 'restored' | 'removed' | 'kept: changed since' | 'gone'
}

/** Restores what was there before, or removes what we made. What people changed since is left as it is, and said. */
export async function takeBackNodeFiles(record: string): Promise<TakenBack[]> {
  const written = await readRecord(record)
  const results: TakenBack[] = []
  for (const [path, { digest, root }] of [...written]) {
    const result = await takeBack(path, digest)
    results.push({ path, result })
    if (result === 'removed') await removeEmptyFolders(dirname(path), root)
    written.delete(path)
    await writeRecord(record, written)
  }
  return results
}

async function takeBack(path: string, digest: string): Promise<TakenBack['result']> {
  const backup = backupPathOf(path)
  const [found, original] = await Promise.all([readGuarded(path, maxSize), readGuarded(backup, maxSize)])
  if (found !== undefined && digestOf(found.bytes) !== digest) {
    // killed between remembering and writing: the original is still in its place
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

/** A folder of another system's root may be a link with an absolute target: it would lead into this system. */
async function makeFolder(folder: string, root: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o755 })
    const [real, realRoot] = await Promise.all([realpath(folder), realpath(root)])
    if (real === realRoot || real.startsWith(realRoot.endsWith(sep) ? realRoot : `${realRoot}${sep}`)) return
    throw new AirgapError('VALUES_INVALID', `the folder leads out of ${root}`, {
      item: folder,
      likely: `a symbolic link to ${real}`,
      next: 'replace the link by a folder, or give the right --node-root',
    })
  } catch (error) {
    throw fromSystemError(error, folder)
  }
}

/** Only folders that hold nothing, and none near the root: `certs.d/HOST` was ours, `/etc` is not. */
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
    throw new AirgapError('JOURNAL_INVALID', 'the record of written files cannot be read', {
      item: path,
      likely: 'a damaged disk, or the file was edited',
      next: 'move it away; the files that were written then stay as they are',
      cause: error,
    })
  }
}

async function writeRecord(path: string, written: Written): Promise<void> {
  await writeAtomically(path, canonicalJson({ files: Object.fromEntries(written) }, 2), 0o600)
}
