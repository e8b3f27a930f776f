import type { Readable } from 'node:stream'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import type { Reference } from '../core/reference.ts'

/**
 * Content by digest. Memory, layout folder, bundle tar, remote registry are all this.
 * `open` without a range ends with DIGEST_MISMATCH or SIZE_MISMATCH on the stream when the bytes are not what the
 * descriptor says; a ranged read cannot be verified and is not. A missing blob is NOT_FOUND. The memory of each chunk belongs
 * to the reader, who may give it back once it is done with it.
 */
export interface ReadableStore {
  exists(descriptor: Descriptor): Promise<boolean>
  open(descriptor: Descriptor, range?: ByteRange): Promise<Readable>
  /** NOT_FOUND where no content has this name */
  resolve(reference: Reference): Promise<Descriptor>
  references(): AsyncIterable<[Reference, Descriptor]>
}

export interface ContentStore extends ReadableStore {
  /** idempotent, atomic, verified: content that is wrong is never visible */
  push(descriptor: Descriptor, body: Readable): Promise<void>
  tag(descriptor: Descriptor, reference: Reference): Promise<void>
}
