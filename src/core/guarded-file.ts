import { constants } from 'node:fs'
import { chmod, chown, type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { syncFolder } from './atomic-file.ts'
import { defined } from './defined.ts'
import { AirgapError, errnoOf, fromSystemError } from './errors.ts'

/** A file that belongs to the operator or to the machine: its content, mode and owner. */
export interface GuardedFile {
  bytes: Buffer
  mode: number
  uid: number
  gid: number
}

/** Returns the path of the backup that holds the first original of a file. */
export function backupPathOf(path: string): string {
  return `${path}.airgap-backup`
}

/**
 * Reads a regular file; returns undefined where none exists. A symbolic link is never followed: a user who may write to the
 * folder could have root read or replace any other file through it (CWE-59). Throws VALUES_INVALID, PERMISSION, IO.
 */
export async function readGuarded(
  path: string,
  maxSize: number /* bytes */,
): Promise<GuardedFile | undefined> {
  let handle: FileHandle
  try {
    // O_NONBLOCK: opening a pipe must not wait for its writer
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    if (errnoOf(error) === 'ELOOP') throw notRegular(path, 'this is a symbolic link, not a file')
    if (errnoOf(error) === 'ENXIO') throw notRegular(path, 'not a regular file')
    throw fromSystemError(error, path)
  }
  try {
    const found = await handle.stat()
    if (!found.isFile()) throw notRegular(path, 'not a regular file')
    if (found.size > maxSize) throw notRegular(path, `larger than ${maxSize >> 20} MiB`)
    const bytes = await firstBytes(handle, found.size)
    return { bytes, mode: found.mode & 0o7777, uid: found.uid, gid: found.gid }
  } catch (error) {
    throw fromSystemError(error, path)
  } finally {
    await handle.close()
  }
}

/** What is appended meanwhile is not read: its owner could append without end. */
async function firstBytes(handle: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size)
  let length = 0
  while (length < size) {
    const { bytesRead } = await handle.read(bytes, length, size - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return bytes.subarray(0, length)
}

/**
 * Calls `use` with a path of the folder `names` in `root`, through which no symbolic link below `root` is followed, also not one that is
 * planted meanwhile (CWE-59): for a folder that another user owns. Returns undefined where the folder is missing, or is a link. Needs /proc.
 */
export async function inGuardedFolder<T>(
  { root, names }: { root: string; names: readonly string[] },
  use: (folder: string) => Promise<T>,
): Promise<T | undefined> {
  const opened: FileHandle[] = []
  try {
    let path = root
    for (const name of ['', ...names]) {
      const handle = await openFolder(name === '' ? path : `${path}/${name}`)
      if (handle === undefined) return undefined
      opened.push(handle)
      path = `/proc/self/fd/${handle.fd}`
    }
    return await use(path)
  } catch (error) {
    const real = join(root, ...names)
    const at = `/proc/self/fd/${opened.at(-1)?.fd}`
    if (!(error instanceof AirgapError) || !error.item?.startsWith(at)) throw error
    const { code, message, item, likely, next, cause } = error
    throw new AirgapError(code, message, {
      item: real + item.slice(at.length),
      cause,
      ...defined({ likely, next: next?.replaceAll(at, real) }),
    })
  } finally {
    for (const handle of opened) await handle.close()
  }
}

async function openFolder(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined
    throw fromSystemError(error, path)
  }
}

/**
 * Replaces the file as writeAtomically does, with the mode and owner of `like`; without it the mode is 0644 whatever the umask.
 * The temporary file has a fixed name so that the next run removes what a killed one left; the caller holds the site's lock.
 */
export async function replaceGuarded(
  path: string,
  bytes: Uint8Array | string,
  like?: Pick<GuardedFile, 'mode' | 'uid' | 'gid'>,
): Promise<void> {
  const temporary = `${path}.airgap-part`
  try {
    await rm(temporary, { force: true })
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    if (like !== undefined) await takeOwner(temporary, like)
    await chmod(temporary, like?.mode ?? 0o644)
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true })
    throw fromSystemError(error, path)
  }
}

/** Saves the first original, which later calls keep. Throws where it cannot be saved: then the file must not be changed. */
export async function keepBackup(backup: string, original: GuardedFile): Promise<void> {
  try {
    if ((await readGuarded(backup, Number.MAX_SAFE_INTEGER)) !== undefined) return
    await replaceGuarded(backup, original.bytes, original)
  } catch (error) {
    throw cannotBackUp(backup, error)
  }
}

export async function removeGuarded(path: string): Promise<void> {
  try {
    await rm(path)
    await syncFolder(dirname(path))
  } catch (error) {
    throw fromSystemError(error, path)
  }
}

/** Only root may change the owner of a file; for any other user the new file is theirs, as with an editor. */
async function takeOwner(path: string, like: Pick<GuardedFile, 'uid' | 'gid'>): Promise<void> {
  try {
    await chown(path, like.uid, like.gid)
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error
  }
}

function cannotBackUp(backup: string, cause: unknown): unknown {
  if (!(cause instanceof AirgapError)) return cause
  return new AirgapError(cause.code, `the backup cannot be written: ${cause.message}`, {
    item: backup,
    likely: cause.likely ?? 'the folder is not writable for this user, or full',
    next: `make ${dirname(backup)} writable and run the same command again; the file itself is unchanged`,
    cause,
  })
}

export function notRegular(item: string, what: string, cause?: unknown): AirgapError {
  return new AirgapError('VALUES_INVALID', what, {
    item,
    next: 'put a regular file there; nothing was changed',
    cause,
  })
}
