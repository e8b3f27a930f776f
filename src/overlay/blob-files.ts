import { renameSync, rmSync } from 'node:fs'
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { syncFolder } from '../core/atomic-file.ts'
import { type Digest, isDigest } from '../core/digest.ts'
import { errnoOf } from '../core/errors.ts'
import type { OverlayFolder } from './overlay-folder.ts'
import type { BareDescriptor } from './owner.ts'

/** The files with the content of an overlay, and who is about to refer to them. */
export interface BlobFiles {
  /** digest → bytes of its file */
  readonly sizes: ReadonlyMap<Digest, number>
  /** of all files */
  bytes(): number
  /** Keeps the file of this digest while `work` runs. */
  hold<T>(digest: Digest, work: () => Promise<T>): Promise<T>
  /**
   * Moves a synced file, whose bytes were hashed, to its place, over one that is there: that may be damaged. Then runs `refer`, which makes a
   * repository refer to it. Where that fails (a full disk), nothing is left to which nothing referred before.
   */
  adopt(adopted: { file: string; content: BareDescriptor }, refer: () => Promise<void>): Promise<void>
  /** Removes content to which nothing refers, and which is not held. Returns whether it did. */
  remove(digest: Digest): Promise<boolean>
}

/** Reads which files there are. `isReferenced` says whether a repository refers to this content. */
export async function openBlobFiles(
  paths: OverlayFolder,
  { isReferenced }: { isReferenced: (digest: Digest) => boolean },
): Promise<BlobFiles> {
  const sizes = await sizesIn(paths)
  /** work that keeps a file */
  const holds = new Map<Digest, number>()
  let total = [...sizes.values()].reduce((sum, size) => sum + size, 0)

  function note(digest: Digest, size: number | undefined): void {
    total += (size ?? 0) - (sizes.get(digest) ?? 0)
    if (size === undefined) sizes.delete(digest)
    else sizes.set(digest, size)
  }

  function release(digest: Digest): void {
    const left = holds.get(digest)! - 1
    if (left === 0) holds.delete(digest)
    else holds.set(digest, left)
  }

  async function hold<T>(digest: Digest, work: () => Promise<T>): Promise<T> {
    holds.set(digest, (holds.get(digest) ?? 0) + 1)
    try {
      return await work()
    } finally {
      release(digest)
    }
  }

  const isNeeded = (digest: Digest) => holds.has(digest) || isReferenced(digest)

  return {
    sizes,
    bytes: () => total,
    hold,
    async adopt({ file, content: { digest, size } }, refer) {
      const target = paths.blob(digest)
      try {
        await hold(digest, async () => {
          await rename(file, target)
          await syncFolder(paths.blobs)
          note(digest, size)
          await refer()
        })
      } catch (error) {
        // synchronous: no other push may find the file in between
        if (!isNeeded(digest)) {
          rmSync(target, { force: true })
          note(digest, undefined)
        }
        throw error
      }
    },
    async remove(digest) {
      if (isNeeded(digest)) return false
      // renamed at once, so that no push can find the file in between; the servers remove what is left of it when they start
      const removed = paths.upload(`${digest.replace(':', '-')}.removed`)
      try {
        renameSync(paths.blob(digest), removed)
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error
      }
      note(digest, undefined)
      await rm(removed, { force: true })
      return true
    },
  }
}

async function sizesIn({ blobs, blob }: OverlayFolder): Promise<Map<Digest, number>> {
  const digests = (await readdir(blobs)).map(hex => `sha256:${hex}`).filter(isDigest)
  const sizes = new Map<Digest, number>()
  await Promise.all(digests.map(async digest => sizes.set(digest, (await stat(blob(digest))).size)))
  return sizes
}
