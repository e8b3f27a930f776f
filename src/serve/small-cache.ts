import { maxManifestSize, readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { contentFile } from './content-file.ts'
import type { Verdicts } from './verdicts.ts'

/** Reads small content, verified, and caches it. */
export interface SmallCache {
  /** Reads content whole. Throws what the store throws, and SIZE_MISMATCH above 4 MiB. */
  read(descriptor: Descriptor): Promise<Buffer>
}

/** Creates a cache of at most `limit` bytes, from which the least recently used content is evicted. */
export function smallCache(
  store: ReadableStore,
  { limit, verdicts }: { limit: number /* bytes */; verdicts: Verdicts },
): SmallCache {
  const kept = new Map<Digest, Buffer>()
  // for many simultaneous requests of the same content it is read once
  const pending = new Map<Digest, Promise<Buffer>>()
  let size = 0

  function keep(digest: Digest, bytes: Buffer): void {
    if (bytes.length > limit || kept.has(digest)) return
    kept.set(digest, bytes)
    size += bytes.length
    for (const [oldest, old] of kept) {
      if (size <= limit) break
      kept.delete(oldest)
      size -= old.length
    }
  }

  async function load(descriptor: Descriptor): Promise<Buffer> {
    try {
      const state = await (await contentFile(store, descriptor)).state()
      // throws damage that was found lately
      await verdicts.known(descriptor, state)
      const bytes = await readAll(store, descriptor, maxManifestSize).catch(error => {
        verdicts.noteDamage(descriptor, { error, state })
        throw error
      })
      keep(descriptor.digest, bytes)
      return bytes
    } finally {
      pending.delete(descriptor.digest)
    }
  }

  return {
    async read(descriptor) {
      const { digest } = descriptor
      const bytes = kept.get(digest)
      // a descriptor with another size is another claim, which only the store can refuse
      if (bytes !== undefined && bytes.length === descriptor.size) {
        kept.delete(digest)
        kept.set(digest, bytes)
        return bytes
      }
      const running = pending.get(digest)
      if (running !== undefined) {
        const loaded = await running
        if (loaded.length === descriptor.size) return loaded
      }
      const started = load(descriptor)
      pending.set(digest, started)
      return started
    },
  }
}
