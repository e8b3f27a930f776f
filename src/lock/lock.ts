import { readFile, stat } from 'node:fs/promises'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { nearbyFiles } from '../core/nearby-files.ts'
import { type Lock, lockSchema } from './schema.ts'
import { inTextLines } from './text-lines.ts'

/** 100,000 packages with their stanzas are smaller: a larger file is not a lockfile. */
const maxLockSize = 500 * 1024 * 1024 /* bytes; Node's longest text is longer */

/** Returns the one text of a lock, for git and, byte for byte, for the bundle. */
export function formatLock(lock: Lock): string {
  return `${canonicalJson(lock, 2)}\n`
}

/** Whether two locks record the same; the forms that earlier versions gave to texts of several lines do not count. */
export function recordTheSame(one: Lock, other: Lock): boolean {
  return canonicalJson(inTextLines(one)) === canonicalJson(inTextLines(other))
}

/** Throws LOCK_INVALID with the first mistake; `item` is the path, for the message. */
export function parseLock(text: string, item: string): Lock {
  const fail = (what: string, cause?: unknown) =>
    new AirgapError('LOCK_INVALID', what, {
      item,
      likely: 'it was edited by hand, has a merge conflict, or was written by another version of airgap',
      next: 'run `airgap lock` again',
      cause,
    })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw fail('the lockfile is not JSON', error)
  }
  const parsed = lockSchema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw fail(`the lockfile is malformed: ${issue?.path.join('.') || 'top level'}: ${issue?.message}`)
}

/** Throws FILE_NOT_FOUND, PERMISSION, LOCK_INVALID. */
export async function readLock(path: string): Promise<Lock> {
  try {
    const found = await stat(path)
    if (!found.isFile() || found.size > maxLockSize)
      throw new AirgapError(
        'LOCK_INVALID',
        found.isFile() ? 'the lockfile is too large' : 'the path is not a file',
        {
          item: path,
          likely: 'the path is that of another file',
          next: 'pass the path of the lockfile, or run `airgap lock` again',
        },
      )
    return parseLock(await readFile(path, 'utf8'), path)
  } catch (error) {
    throw errnoOf(error) === 'ENOENT' ? await noLock(path, error) : fromSystemError(error, path)
  }
}

async function noLock(path: string, cause: unknown): Promise<AirgapError> {
  const others = await nearbyFiles(path, ['.lock.json'])
  return new AirgapError('FILE_NOT_FOUND', 'the lockfile does not exist', {
    item: path,
    ...defined({
      likely: others.length > 0 ? `in the same folder there is ${others.join(', ')}` : undefined,
    }),
    next:
      others.length > 0
        ? `pass the path of the lockfile, such as ${others[0]}`
        : 'write it with `airgap lock`',
    cause,
  })
}

export async function writeLock(path: string, lock: Lock): Promise<void> {
  await writeAtomically(path, formatLock(lock))
}
