import type { Readable } from 'node:stream'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import type { Reference } from '../core/reference.ts'
import type { Extent } from './hash-worker.ts'

/**
 * Content by digest. Memory, a layout folder, a bundle and several bundles together are all this, so that serving, copying and
 * verifying need to know only one thing.
 */
export interface ReadableStore {
  /** Returns whether the content is here, by digest and size; does not read it. */
  exists(descriptor: Descriptor): Promise<boolean>
  /**
   * Opens the content. Without a range the stream is verified: it fails with DIGEST_MISMATCH or SIZE_MISMATCH before its last
   * chunk where the bytes are not those of the descriptor. A range cannot be verified on its own and is not. Each chunk belongs
   * to the reader, who may overwrite it or free its memory. Throws NOT_FOUND where the content is not here.
   */
  open(descriptor: Descriptor, range?: ByteRange): Promise<Readable>
  /**
   * Returns the state of the file that the content is in. What was found out about the content is valid as long as the state is the
   * same. Absent where the content is in memory and cannot change.
   */
  state?(descriptor: Descriptor): Promise<string>
  /**
   * Returns where the content is in open files, in order, for readers that need no stream: threads, and servers with buffers of their own.
   * The descriptors stay open as long as the store does. Nothing is verified but that the content is at this place. Throws what `open`
   * throws. Absent, or undefined, where the content is not in files that stay open.
   */
  extents?(descriptor: Descriptor): Promise<readonly Extent[] | undefined>
}

/** Names for the content of a store (image-spec: `org.opencontainers.image.ref.name` in index.json). */
export interface NamedStore {
  /** Returns the content that has this name. Throws NOT_FOUND. */
  resolve(reference: Reference): Promise<Descriptor>
  /** Yields every name with its content, each name once. */
  references(): AsyncIterable<[Reference, Descriptor]>
}

/** A store that content can be added to. */
export interface ContentStore extends ReadableStore, NamedStore {
  /**
   * Adds content, verified and atomically: wrong or partial content is never visible. Adding what is here already does nothing.
   * Throws DIGEST_MISMATCH, SIZE_MISMATCH, and what the body throws.
   */
  push(descriptor: Descriptor, body: Readable): Promise<void>
  /** Names the content; another content that had this name loses it. */
  tag(descriptor: Descriptor, reference: Reference): Promise<void>
}
