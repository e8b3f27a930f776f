import { randomBytes } from 'node:crypto'
import { link, lstat, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errnoOf, fromSystemError } from './errors.ts'

/**
 * Writes a small file in such a way that a reader sees the old or the new content, never a part of it, also after a power failure:
 * beside it, synced, renamed. `mode` is subject to the umask. Throws PERMISSION, NO_SPACE, IO and the like, naming `path`.
 */
export async function writeAtomically(path: string, text: string | Uint8Array, mode = 0o644): Promise<void> {
  const temporary = temporaryPathOf(path)
  try {
    const handle = await open(temporary, 'wx', mode)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true })
    throw fromSystemError(error, path)
  }
}

/**
 * Creates a file that must never be overwritten (a key, an identity), complete or not at all, also after a power failure. A file
 * that exists already, such as one that another process created at the same time, stays. Throws as writeAtomically does.
 */
export async function createAtomically(path: string, text: string, mode = 0o644): Promise<void> {
  if (await exists(path)) return
  const temporary = temporaryPathOf(path)
  try {
    const handle = await open(temporary, 'wx', mode)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await linkOrRename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    throw fromSystemError(error, path)
  } finally {
    await rm(temporary, { force: true })
  }
}

/** link(2) fails where the name exists; rename(2) would replace it, so that it serves only file systems without hard links. */
async function linkOrRename(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'EEXIST') return
    if (errno !== 'EPERM' && errno !== 'ENOTSUP' && errno !== 'ENOSYS') throw error
    if (!(await exists(path))) await rename(temporary, path)
  }
}

/** Also for a link that leads nowhere. */
async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined
}

/**
 * Returns a name in the same folder, so that it can be renamed to `path`, which nobody can predict: in a folder where others may
 * write, a link planted under a known name would redirect the write (CWE-377).
 */
export function temporaryPathOf(path: string): string {
  return `${path}.${randomBytes(6).toString('hex')}.tmp`
}

/** Makes a rename in this folder survive a power failure (fsync(2): a file's own sync does not cover its name). */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
