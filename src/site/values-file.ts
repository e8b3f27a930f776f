import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, chown, type FileHandle, lstat, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncFolder } from '../content/layout-store.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { diffText } from './text-diff.ts'
import { maxValuesSize, type OfflineValues, readOfflineValues, setOfflineValues } from './values.ts'

/** What applying will do to a values file; made once, shown, then carried out or refused. */
export interface ValuesPlan {
  path: string
  backup: string
  /** the file as the plan saw it */
  before: string
  beforeDigest: Digest
  after: string
  /** changed lines, secrets masked; empty where nothing changes */
  diff: string
}

export function backupPathOf(path: string): string {
  return `${path}.airgap-backup`
}

/** Reads the file and says what would change. Throws VALUES_INVALID, FILE_NOT_FOUND, PERMISSION. Writes nothing. */
export async function planValues(path: string, values: OfflineValues): Promise<ValuesPlan> {
  const { text } = await readRegular(path)
  const after = setOfflineValues(text, values, path)
  return {
    path,
    backup: backupPathOf(path),
    before: text,
    beforeDigest: digestOf(text),
    after,
    diff: diffText(text, after),
  }
}

/**
 * Carries the plan out: first the backup (the first original is kept for ever), then the file, atomically, with its mode and
 * owner. Throws VALUES_CHANGED with the difference where the file is not the one that was planned for.
 */
export async function applyValues(plan: ValuesPlan): Promise<'changed' | 'unchanged'> {
  const found = await readRegular(plan.path)
  if (digestOf(found.text) !== plan.beforeDigest) throw changedMeanwhile(plan, found.text)
  if (plan.after === plan.before) return 'unchanged'
  await keepBackup(plan, found)
  await replaceFile(plan.path, plan.after, found)
  return 'changed'
}

/**
 * Puts the backup back, byte for byte, and removes it. Throws VALUES_CHANGED where somebody edited the file after us: their
 * work would be lost. No backup: nothing to do.
 */
export async function rollbackValues(path: string): Promise<'restored' | 'no backup'> {
  const backup = backupPathOf(path)
  let original: RegularFile
  try {
    original = await readRegular(backup)
  } catch (error) {
    if (error instanceof AirgapError && error.code === 'FILE_NOT_FOUND') return 'no backup'
    throw error
  }
  const current = await readRegular(path)
  const ours = { registry: '', httpServer: '', ...readOfflineValues(current.text, path) }
  const written = setOfflineValues(original.text, ours, backup)
  if (current.text !== written && current.text !== original.text) {
    throw new AirgapError(
      'VALUES_CHANGED',
      `edited since it was configured:\n${diffText(written, current.text)}`,
      {
        item: path,
        next: `set offline.registry and offline.httpServer back by hand; the original is ${backup}`,
      },
    )
  }
  if (current.text !== original.text) await replaceFile(path, original.text, current)
  await removeDurably(backup)
  return 'restored'
}

interface RegularFile {
  text: string
  mode: number
  uid: number
  gid: number
}

/** A symbolic link would let another file be read and replaced (fault 99): never followed. */
async function readRegular(path: string): Promise<RegularFile> {
  let handle: FileHandle
  try {
    // O_NONBLOCK: opening a pipe must not wait for its writer
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (errnoOf(error) === 'ELOOP') throw notRegular(path, 'a symbolic link stands in place of the file')
    throw fromSystemError(error, path)
  }
  try {
    const found = await handle.stat()
    if (!found.isFile()) throw notRegular(path, 'not a regular file')
    if (found.size > maxValuesSize) throw notRegular(path, `larger than ${maxValuesSize >> 20} MiB`)
    const bytes = await handle.readFile()
    return { text: decode(bytes, path), mode: found.mode & 0o7777, uid: found.uid, gid: found.gid }
  } catch (error) {
    throw fromSystemError(error, path)
  } finally {
    await handle.close()
  }
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw notRegular(path, 'the file is not UTF-8 text', error)
  }
}

async function keepBackup(plan: ValuesPlan, found: RegularFile): Promise<void> {
  const { backup } = plan
  const kept = await lstat(backup).catch(error => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw cannotBackUp(plan, error)
  })
  if (kept !== undefined) {
    if (kept.isFile()) return
    throw notRegular(backup, 'something else stands where the backup belongs')
  }
  try {
    await replaceFile(backup, plan.before, found)
  } catch (error) {
    throw cannotBackUp(plan, error)
  }
}

/** Beside it under a random name, synced, renamed: a reader sees the old or the new text, also after a power cut. */
async function replaceFile(path: string, text: string, like: RegularFile): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await takeOwner(temporary, like)
    await chmod(temporary, like.mode)
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true })
    throw fromSystemError(error, path)
  }
}

/** Only root can give a file away; anyone else who may write here gets the file, as an editor does. */
async function takeOwner(path: string, like: RegularFile): Promise<void> {
  try {
    await chown(path, like.uid, like.gid)
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error
  }
}

async function removeDurably(path: string): Promise<void> {
  try {
    await rm(path)
    await syncFolder(dirname(path))
  } catch (error) {
    throw fromSystemError(error, path)
  }
}

function changedMeanwhile(plan: ValuesPlan, now: string): AirgapError {
  const diff = diffText(plan.before, now) || '(only line ends or the end of the file)'
  return new AirgapError('VALUES_CHANGED', `edited since the plan was made:\n${diff}`, {
    item: plan.path,
    likely: 'somebody works on the same file',
    next: 'agree with them, then run the same command again: it plans from the file as it is',
  })
}

function cannotBackUp(plan: ValuesPlan, cause: unknown): AirgapError {
  const known = fromSystemError(cause, plan.backup)
  return new AirgapError(
    known instanceof AirgapError ? known.code : 'IO',
    `the backup cannot be written${known instanceof Error ? `: ${known.message}` : ''}`,
    {
      item: plan.backup,
      likely: 'the folder is not writable for this user, or full',
      next: `make ${dirname(plan.backup)} writable and run the same command again; the values file was not touched`,
      cause,
    },
  )
}

function notRegular(item: string, what: string, cause?: unknown): AirgapError {
  return new AirgapError('VALUES_INVALID', what, {
    item,
    next: 'put a plain values file there; nothing was changed',
    cause,
  })
}
