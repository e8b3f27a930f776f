import { Readable } from 'node:stream'
import type { NamedStore, ReadableStore } from '../content/store.ts'
import { verified } from '../content/verify.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { annotationKeys } from '../core/media-types.ts'
import { formatReference, parseReference, type Reference } from '../core/reference.ts'
import { type ByteSource, openFileSource } from './byte-source.ts'
import { type BundleEntry, headerOf } from './entry.ts'
import { type Front, readFront } from './front.ts'
import { blockSize } from './tar-header.ts'

const chunkSize = 1 << 20 /* bytes */

/** Opens a bundle by reading its front only: a few reads, whatever its size. Blobs are checked when they are read. */
export async function openBundle(from: string | ByteSource): Promise<BundleStore> {
  const source = typeof from === 'string' ? await openFileSource(from) : from
  try {
    return new BundleStore(source, await readFront(source))
  } catch (error) {
    await source.close()
    throw error
  }
}

/** A bundle as a store: content straight out of the tar. Nothing is unpacked, nothing is written. */
export class BundleStore implements ReadableStore, NamedStore {
  readonly info: Front['info']
  /** digest of index.json, which vouches for all content */
  readonly indexDigest: Digest
  readonly size: number
  readonly #source: ByteSource
  readonly #front: Front
  readonly #blobs = new Map<Digest, BundleEntry>()
  readonly #names = new Map<string, [Reference, Descriptor]>()
  /** entries whose tar header has been compared */
  readonly #checked = new Set<BundleEntry>()

  constructor(source: ByteSource, front: Front) {
    this.#source = source
    this.#front = front
    this.info = front.info
    this.indexDigest = front.indexDigest
    this.size = source.size
    for (const entry of front.entries) {
      if (entry.type === 'file' && entry.digest !== undefined) this.#blobs.set(entry.digest, entry)
    }
    for (const root of front.roots) {
      const reference = referenceOf(root)
      if (reference !== undefined) this.#names.set(formatReference(reference), [reference, root])
    }
  }

  /** All entries of the tar, in order. */
  entries(): readonly BundleEntry[] {
    return this.#front.entries
  }

  /** The artifacts: descriptors of index.json with their annotations, sorted by kind and name. */
  roots(): readonly Descriptor[] {
    return this.#front.roots
  }

  async exists(descriptor: Descriptor): Promise<boolean> {
    return this.#blobs.get(descriptor.digest)?.size === descriptor.size
  }

  /** A whole read is verified and holds its last chunk back; a ranged one only has its tar header checked. */
  async open(descriptor: Descriptor, range?: ByteRange): Promise<Readable> {
    const entry = this.#blobs.get(descriptor.digest)
    if (entry === undefined) {
      throw new AirgapError('NOT_FOUND', 'no such content in the bundle', {
        item: descriptor.digest,
        next: 'look with `airgap inspect` what the bundle holds',
      })
    }
    if (entry.size !== descriptor.size) {
      throw new AirgapError(
        'SIZE_MISMATCH',
        `the bundle has ${entry.size} bytes, ${descriptor.size} are expected`,
        {
          item: descriptor.digest,
          likely: 'the bundle is damaged, or the manifest that names this content is wrong',
          next: 'run verify on the bundle',
        },
      )
    }
    if (range === undefined) return stream(this.#verified(entry, descriptor))
    if (range.start < 0 || range.start > range.end || range.end > entry.size) {
      throw new AirgapError('RANGE_NOT_SATISFIABLE', `bytes ${range.start}-${range.end} of ${entry.size}`, {
        item: descriptor.digest,
        next: 'ask for a range inside the content',
      })
    }
    await this.#checkHeader(entry)
    return stream(this.#read(entry.dataOffset + range.start, range.end - range.start))
  }

  async resolve(reference: Reference): Promise<Descriptor> {
    const named = this.#names.get(formatReference(reference))
    if (named !== undefined) return named[1]
    for (const [other, root] of this.#names.values()) {
      const sameName = other.host === reference.host && other.repository === reference.repository
      if (sameName && root.digest === reference.digest) return root
    }
    throw new AirgapError('NOT_FOUND', 'no such reference in the bundle', {
      item: formatReference(reference),
      next: 'look with `airgap inspect` what the bundle holds',
    })
  }

  /** Names of images and charts; trees have a name that is no reference, and are found by `roots`. */
  async *references(): AsyncIterable<[Reference, Descriptor]> {
    yield* this.#names.values()
  }

  close(): Promise<void> {
    return this.#source.close()
  }

  async *#verified(entry: BundleEntry, descriptor: Descriptor): AsyncGenerator<Uint8Array> {
    await this.#checkHeader(entry)
    yield* verified(descriptor, this.#read(entry.dataOffset, entry.size))
  }

  /** Reads ahead by one chunk, so that hashing or sending one overlaps with reading the next. */
  async *#read(start: number, length: number): AsyncGenerator<Uint8Array> {
    const end = start + length
    const next = (at: number) => {
      const chunk = this.#chunk(at, Math.min(chunkSize, end - at))
      // a failure is met when this chunk's turn comes: it must not end the process before
      chunk.catch(() => {})
      return chunk
    }
    let position = start
    let ahead = position < end ? next(position) : undefined
    while (ahead !== undefined) {
      const chunk: Buffer = await ahead
      position += chunk.length
      ahead = position < end ? next(position) : undefined
      yield chunk
    }
  }

  async #chunk(position: number, length: number): Promise<Buffer> {
    const chunk = Buffer.allocUnsafe(length)
    await this.#source.read(chunk, position)
    return chunk
  }

  /** The front table is untrusted: what it points at must say the same of itself. */
  async #checkHeader(entry: BundleEntry): Promise<void> {
    if (this.#checked.has(entry)) return
    const found = await this.#chunk(entry.headerOffset, blockSize)
    if (!found.equals(headerOf(entry))) {
      throw new AirgapError('BUNDLE_CORRUPT', 'the tar header is not the one the front table tells of', {
        item: `${this.#source.name}: ${entry.path}`,
        likely: 'the file was damaged while it was copied, or changed by another program',
        next: 'copy the bundle again, then run verify',
      })
    }
    this.#checked.add(entry)
  }
}

function stream(chunks: AsyncGenerator<Uint8Array>): Readable {
  return Readable.from(chunks, { objectMode: false, highWaterMark: chunkSize })
}

function referenceOf(root: Descriptor): Reference | undefined {
  const name = root.annotations?.[annotationKeys.refName]
  if (name === undefined || !name.includes('/')) return undefined
  try {
    return parseReference(name)
  } catch {
    return undefined
  }
}
