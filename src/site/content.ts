import type { Readable } from 'node:stream'
import type { ReadableStore } from '../content/store.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'

/** A bundle as the site needs it, whatever the format of the bundle is. */
export interface SiteContent extends ReadableStore {
  /** descriptors of index.json with their annotations */
  roots(): readonly Descriptor[]
  /** digest of index.json, from which all content can be verified */
  readonly indexDigest: Digest
}

/**
 * Returns a store with what was pushed to the site next to the content of its bundles. A read of the bundles' content takes no other step than
 * without an overlay.
 */
export function withOverlay(bundles: ReadableStore, overlay: ReadableStore): ReadableStore {
  const orOverlay = async <T>(first: () => Promise<T>, second: () => Promise<T>): Promise<T> => {
    try {
      return await first()
    } catch (error) {
      if (!isErrorCode(error, 'NOT_FOUND')) throw error
      return await second()
    }
  }
  return {
    exists: async descriptor => (await bundles.exists(descriptor)) || (await overlay.exists(descriptor)),
    open: (descriptor, range) =>
      orOverlay(
        () => bundles.open(descriptor, range),
        () => overlay.open(descriptor, range),
      ),
    async state(descriptor) {
      const holder = (await bundles.exists(descriptor)) ? bundles : overlay
      return (await holder.state?.(descriptor)) ?? ''
    },
    extents: descriptor =>
      orOverlay(
        async () => await bundles.extents?.(descriptor),
        async () => await overlay.extents?.(descriptor),
      ),
  }
}

/** Returns several bundles as one store: content is requested by digest, so it does not matter which bundle has it. */
export function mergedStore(contents: readonly ReadableStore[]): ReadableStore {
  const [only, second] = contents
  if (only !== undefined && second === undefined) return only
  const holder = async (descriptor: Descriptor): Promise<ReadableStore> => {
    for (const store of contents) if (await store.exists(descriptor)) return store
    throw new AirgapError('NOT_FOUND', 'no such content in any of the bundles', { item: descriptor.digest })
  }
  return {
    async exists(descriptor) {
      for (const store of contents) if (await store.exists(descriptor)) return true
      return false
    },
    open: async (descriptor: Descriptor, range?: ByteRange): Promise<Readable> =>
      await (await holder(descriptor)).open(descriptor, range),
    state: async descriptor => (await (await holder(descriptor)).state?.(descriptor)) ?? '',
    extents: async descriptor => await (await holder(descriptor)).extents?.(descriptor),
  }
}
