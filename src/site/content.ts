import type { Readable } from 'node:stream'
import type { ReadableStore } from '../content/store.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { formatReference, type Reference } from '../core/reference.ts'

/** A bundle as the site needs it; the site knows no tar. */
export interface SiteContent extends ReadableStore {
  /** descriptors of index.json with their annotations */
  roots(): readonly Descriptor[]
  /** digest of index.json: vouches for all content */
  readonly indexDigest: Digest
}

/** Several bundles as one store: content is asked for by digest, so it does not matter which one has it. */
export function mergedStore(contents: readonly ReadableStore[]): ReadableStore {
  const [only, second] = contents
  if (only !== undefined && second === undefined) return only
  return {
    async exists(descriptor) {
      for (const store of contents) if (await store.exists(descriptor)) return true
      return false
    },
    async open(descriptor: Descriptor, range?: ByteRange): Promise<Readable> {
      for (const store of contents)
        if (await store.exists(descriptor)) return await store.open(descriptor, range)
      throw new AirgapError('NOT_FOUND', 'no such content in any of the bundles', { item: descriptor.digest })
    },
    async resolve(reference: Reference) {
      for (const store of contents) {
        try {
          return await store.resolve(reference)
        } catch (error) {
          if (!isErrorCode(error, 'NOT_FOUND')) throw error
        }
      }
      throw new AirgapError('NOT_FOUND', 'no such reference in any of the bundles', {
        item: formatReference(reference),
      })
    },
    async *references() {
      for (const store of contents) yield* store.references()
    },
  }
}
