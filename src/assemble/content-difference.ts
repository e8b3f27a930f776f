import type { Digest } from '../core/digest.ts'
import type { Lock } from '../lock/schema.ts'
import { assembleLock } from './assemble-lock.ts'

/** Bytes of fetched content, each digest once. */
export interface ContentDifference {
  /** in the later lock only */
  addedBytes: number
  /** in the earlier lock only */
  removedBytes: number
  sharedBytes: number
}

/** Returns how much content a site that has one bundle lacks for another. Pure; throws LOCK_INVALID. */
export function contentDifference(before: Lock, after: Lock): ContentDifference {
  const [old, fresh] = [sizesOf(before), sizesOf(after)]
  const sum = (from: ReadonlyMap<Digest, number>, keep: (digest: Digest) => boolean) =>
    [...from].reduce((total, [digest, size]) => total + (keep(digest) ? size : 0), 0)
  return {
    addedBytes: sum(fresh, digest => !old.has(digest)),
    removedBytes: sum(old, digest => !fresh.has(digest)),
    sharedBytes: sum(fresh, digest => old.has(digest)),
  }
}

function sizesOf(lock: Lock): Map<Digest, number> {
  return new Map(
    assembleLock(lock).flatMap(({ blobs }) =>
      blobs.map(({ descriptor }): [Digest, number] => [descriptor.digest, descriptor.size]),
    ),
  )
}
