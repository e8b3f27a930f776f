import { Readable } from 'node:stream'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { formatReference, type Reference } from '../core/reference.ts'
import type { ContentStore } from './store.ts'
import { Verifier } from './verify.ts'

/** A store in memory, for small content and for tests. */
export class MemoryStore implements ContentStore {
  readonly #blobs = new Map<Digest, Uint8Array>()
  readonly #names = new Map<string, [Reference, Descriptor]>()

  async exists(descriptor: Descriptor): Promise<boolean> {
    return this.#blobs.has(descriptor.digest)
  }

  async open(descriptor: Descriptor, range?: ByteRange): Promise<Readable> {
    const bytes = this.#blobs.get(descriptor.digest)
    if (bytes === undefined)
      throw new AirgapError('NOT_FOUND', 'the store does not have this content', { item: descriptor.digest })
    // a copy: the reader may overwrite what it reads
    if (range) return Readable.from([Buffer.from(bytes.subarray(range.start, range.end))])
    const verifier = new Verifier(descriptor)
    verifier.update(bytes)
    verifier.finish()
    return Readable.from([Buffer.from(bytes)])
  }

  async resolve(reference: Reference): Promise<Descriptor> {
    const found = this.#names.get(formatReference(reference))
    if (found === undefined)
      throw new AirgapError('NOT_FOUND', 'the store does not have this reference', {
        item: formatReference(reference),
      })
    return found[1]
  }

  async *references(): AsyncIterable<[Reference, Descriptor]> {
    yield* this.#names.values()
  }

  async push(descriptor: Descriptor, body: Readable): Promise<void> {
    const verifier = new Verifier(descriptor)
    const chunks: Uint8Array[] = []
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      verifier.update(chunk)
      chunks.push(chunk)
    }
    verifier.finish()
    this.#blobs.set(descriptor.digest, Buffer.concat(chunks))
  }

  async tag(descriptor: Descriptor, reference: Reference): Promise<void> {
    this.#names.set(formatReference(reference), [reference, descriptor])
  }
}
