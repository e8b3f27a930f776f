import { readAll } from '../content/read.ts'
import { findTree } from '../content/shards.ts'
import type { ReadableStore } from '../content/store.ts'
import { readTree } from '../content/tree.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { parseLock } from './lock.ts'
import type { Lock } from './schema.ts'

/** The part of a bundle that is needed to find its lock: content by digest, and the descriptors of index.json. */
export interface LockCarrier extends ReadableStore {
  roots(): readonly Descriptor[]
}

const maxLockSize = 512 * 1024 * 1024 /* bytes */

/** Returns the lock that a bundle was built from. `path` is for messages. Throws BUNDLE_CORRUPT. */
export async function carriedLock(bundle: LockCarrier, path: string): Promise<Lock> {
  const lock = await findCarriedLock(bundle, path)
  if (lock !== undefined) return lock
  throw new AirgapError('BUNDLE_CORRUPT', 'the bundle does not contain its lock', {
    item: path,
    likely: 'it was made by another tool',
    next: 'rebuild it with `airgap build`',
  })
}

/** The same, or undefined if the bundle has no lock. A damaged or unreadable lock throws. */
export async function findCarriedLock(bundle: LockCarrier, path: string): Promise<Lock | undefined> {
  const roots = findTree(bundle.roots(), 'lock')?.roots ?? []
  const file = (await readTree(bundle, roots)).get('lock.json')
  if (file === undefined) return undefined
  const text = await readAll(bundle, file.descriptor, maxLockSize)
  try {
    return parseLock(text.toString('utf8'), path)
  } catch (error) {
    if (!isErrorCode(error, 'LOCK_INVALID')) throw error
    throw new AirgapError('BUNDLE_CORRUPT', `the lock inside the bundle is invalid: ${error.message}`, {
      item: path,
      likely: 'the bundle was made by another version of airgap, or by another tool',
      next: 'use the offline-deploy that the bundle itself carries: tar xf BUNDLE offline-deploy',
      cause: error,
    })
  }
}
