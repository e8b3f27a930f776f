import { Readable } from 'node:stream'
import type { Extent } from '../content/hash-worker.ts'
import type { NamedStore, ReadableStore } from '../content/store.ts'
import { refuseOther, verified } from '../content/verify.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { stateText } from '../core/file-state.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import { formatReference, parseReference, type Reference } from '../core/reference.ts'
import { type ByteSource, openFileSource } from './byte-source.ts'
import { type BundleEntry, headerOf } from './entry.ts'
import { encodeFrontTable } from './front-table.ts'
import { type Front, readFront } from './read-front.ts'
import { blockSize } from './tar-header.ts'

const chunkSize = 1 << 20 /* bytes */

/** Opens a bundle by its front: a few reads, whatever its size. Blobs are verified when they are read. Throws what readFront throws. */
export async function openBundle(from: string | ByteSource): Promise<BundleStore> {
  const source = typeof from === 'string' ? await openFileSource(from) : from
  try {
    return new BundleStore(source, await readFront(source))
  } catch (error) {
    await source.close()
    throw error
  }
}

/** A bundle as a store that reads content straight from the tar and unpacks nothing. */
export class BundleStore implements ReadableStore, NamedStore {
  readonly info: Front['info']
  /** digest of index.json, from which all content can be verified */
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

  /** Returns all entries of the tar, in order. */
  entries(): readonly BundleEntry[] {
    return this.#front.entries
  }

  /** Returns the artifacts: descriptors of index.json with their annotations, sorted by kind and name. */
  roots(): readonly Descriptor[] {
    return this.#front.roots
  }

  /** Returns all content in the order of the tar; its media types are not known here. */
  blobs(): Descriptor[] {
    return [...this.#blobs.values()].map(({ digest, size }) => ({
      mediaType: mediaTypes.octets,
      digest: digest!,
      size,
    }))
  }

  /** Returns index.json and airgap.json, from which the layout of the whole tar follows. Throws BUNDLE_CORRUPT. */
  async frontFiles(): Promise<{ path: string; bytes: Buffer }[]> {
    const [, index, table, ...entries] = this.#front.entries
    const bytes = await this.#chunk(index!.dataOffset, index!.size)
    const expected = { mediaType: mediaTypes.ociIndex, digest: this.indexDigest, size: index!.size }
    refuseOther(expected, { digest: digestOf(bytes) })
    return [
      { path: index!.path, bytes },
      // it has one form only
      { path: table!.path, bytes: encodeFrontTable({ index: this.indexDigest, entries }) },
    ]
  }

  async exists(descriptor: Descriptor): Promise<boolean> {
    return this.#blobs.get(descriptor.digest)?.size === descriptor.size
  }

  /** Verifies a whole read (content/store.ts); of a ranged one, checks only the tar header. */
  async open(descriptor: Descriptor, range?: ByteRange): Promise<Readable> {
    const entry = this.#entryOf(descriptor)
    if (range === undefined) return stream(this.#verified(entry, descriptor))
    if (range.start < 0 || range.start > range.end || range.end > entry.size) {
      throw new AirgapError(
        'RANGE_NOT_SATISFIABLE',
        `the range ${range.start}-${range.end} is not in the ${entry.size} bytes of the content`,
        {
          item: descriptor.digest,
          next: 'request a range inside the content',
        },
      )
    }
    await this.#checkHeader(entry)
    return stream(this.#read(entry.dataOffset + range.start, range.end - range.start))
  }

  async extents(descriptor: Descriptor): Promise<readonly Extent[] | undefined> {
    const entry = this.#entryOf(descriptor)
    await this.#checkHeader(entry)
    return this.#source.extents?.(entry.dataOffset, entry.dataOffset + entry.size)
  }

  async state(): Promise<string> {
    return stateText(await this.#source.state())
  }

  async resolve(reference: Reference): Promise<Descriptor> {
    const named = this.#names.get(formatReference(reference))
    if (named !== undefined) return named[1]
    for (const [other, root] of this.#names.values()) {
      const sameName = other.host === reference.host && other.repository === reference.repository
      if (sameName && root.digest === reference.digest) return root
    }
    throw new AirgapError('NOT_FOUND', 'the bundle does not have this reference', {
      item: formatReference(reference),
      next: 'list the content of the bundle with `airgap inspect BUNDLE`',
    })
  }

  /** Yields the names of images and charts; the names of trees are not references (see `roots`). */
  async *references(): AsyncIterable<[Reference, Descriptor]> {
    yield* this.#names.values()
  }

  close(): Promise<void> {
    return this.#source.close()
  }

  #entryOf(descriptor: Descriptor): BundleEntry {
    const entry = this.#blobs.get(descriptor.digest)
    if (entry === undefined) {
      throw new AirgapError('NOT_FOUND', 'the bundle does not have this content', {
        item: descriptor.digest,
        next: 'list the content of the bundle with `airgap inspect BUNDLE`',
      })
    }
    if (entry.size !== descriptor.size) {
      throw new AirgapError(
        'SIZE_MISMATCH',
        `the content has ${entry.size} bytes in the bundle, not the ${descriptor.size} expected`,
        {
          item: descriptor.digest,
          likely: 'the bundle is damaged, or the manifest that refers to this content is wrong',
          next: 'run `verify` on the bundle',
        },
      )
    }
    return entry
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
      // thrown when this chunk is awaited; an unhandled rejection would end the process
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

  /** The front table is untrusted: the tar header must agree with it. */
  async #checkHeader(entry: BundleEntry): Promise<void> {
    if (this.#checked.has(entry)) return
    const found = await this.#chunk(entry.headerOffset, blockSize)
    if (!found.equals(headerOf(entry))) {
      throw new AirgapError('BUNDLE_CORRUPT', 'the tar header does not agree with the front table', {
        item: `${this.#source.name}: ${entry.path}`,
        likely: 'the file was damaged while it was copied, or changed by another program',
        next: 'copy the bundle again, then run `verify` on it',
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
