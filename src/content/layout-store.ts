import { createReadStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { temporaryPathOf, writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import { hexOf } from '../core/digest.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { fileStateAt, stateText } from '../core/file-state.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import { formatReference, parseReference, type Reference } from '../core/reference.ts'
import type { ContentStore } from './store.ts'
import { Verifier, verified } from './verify.ts'

/** An OCI image layout in a folder (image-spec, image-layout.md). Also the cache of a lock's downloads. */
export class LayoutStore implements ContentStore {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async open(folder: string): Promise<LayoutStore> {
    try {
      await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true })
      await writeAtomically(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
    } catch (error) {
      throw fromSystemError(error, folder)
    }
    return new LayoutStore(folder)
  }

  pathOf(descriptor: Pick<Descriptor, 'digest'>): string {
    return join(this.folder, 'blobs', 'sha256', hexOf(descriptor.digest))
  }

  async exists(descriptor: Descriptor): Promise<boolean> {
    try {
      const found = await stat(this.pathOf(descriptor))
      return found.isFile() && found.size === descriptor.size
    } catch {
      return false
    }
  }

  async open(descriptor: Descriptor, range?: ByteRange): Promise<Readable> {
    const path = this.pathOf(descriptor)
    if (!(await this.exists(descriptor))) {
      throw new AirgapError('NOT_FOUND', 'the store does not have this content', { item: descriptor.digest })
    }
    if (range && range.end <= range.start) return Readable.from([])
    if (range) {
      return createReadStream(path, { start: range.start, end: range.end - 1, highWaterMark: 1 << 20 })
    }
    const highWaterMark = bufferFor(descriptor.size)
    const chunks = verified(descriptor, chunksOf(path, highWaterMark))
    return Readable.from(chunks, { objectMode: false, highWaterMark })
  }

  async state(descriptor: Descriptor): Promise<string> {
    const path = this.pathOf(descriptor)
    try {
      return stateText([await fileStateAt(path)])
    } catch (error) {
      throw fromSystemError(error, path)
    }
  }

  /**
   * Returns many small parts of one blob, in the order of `ranges`, verified: the whole blob is read. Throws NOT_FOUND, DIGEST_MISMATCH,
   * SIZE_MISMATCH.
   */
  async parts(descriptor: Descriptor, ranges: readonly ByteRange[]): Promise<Buffer[]> {
    const parts = ranges.map(({ start, end }) =>
      Buffer.alloc(Math.max(0, Math.min(end, descriptor.size) - start)),
    )
    const inOrder = [...ranges.keys()].sort((a, b) => ranges[a]!.start - ranges[b]!.start)
    let position = 0
    let first = 0
    for await (const chunk of (await this.open(descriptor)) as AsyncIterable<Buffer>) {
      const next = position + chunk.length
      for (let i = first; i < inOrder.length && ranges[inOrder[i]!]!.start < next; i++) {
        const { start, end } = ranges[inOrder[i]!]!
        if (end > position)
          chunk.copy(parts[inOrder[i]!]!, Math.max(0, position - start), Math.max(0, start - position))
        if (end <= next && i === first) first++
      }
      position = next
    }
    return parts
  }

  /**
   * `durable: false` is for content that its reader can fetch again: a power failure may then leave a file with other bytes, which every read
   * notices. The sync of each small file is most of the time that it takes to keep it.
   */
  async push(
    descriptor: Descriptor,
    body: Readable,
    { durable = true }: { durable?: boolean } = {},
  ): Promise<void> {
    if (await this.#holds(descriptor)) {
      body.destroy()
      return
    }
    const target = this.pathOf(descriptor)
    const temporary = temporaryPathOf(target)
    try {
      const handle = await open(temporary, 'wx')
      try {
        const verifier = new Verifier(descriptor)
        for await (const chunk of body as AsyncIterable<Uint8Array>) {
          verifier.update(chunk)
          await handle.writeFile(chunk)
        }
        verifier.finish()
        if (durable) await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, target)
    } catch (error) {
      await rm(temporary, { force: true })
      throw fromSystemError(error, target)
    }
  }

  /** Checks the bytes, not only the size: a file in the cache may have been damaged or edited. */
  async #holds(descriptor: Descriptor): Promise<boolean> {
    if (!(await this.exists(descriptor))) return false
    const verifier = new Verifier(descriptor)
    try {
      const file = createReadStream(this.pathOf(descriptor), {
        highWaterMark: bufferFor(descriptor.size),
      })
      for await (const chunk of file as AsyncIterable<Uint8Array>) verifier.update(chunk)
      verifier.finish()
      return true
    } catch {
      return false
    }
  }

  /**
   * Takes over a file in this store's own folder by renaming it: for content whose digest was unknown before it was complete.
   * The caller has hashed what it wrote.
   */
  async adopt(temporary: string, descriptor: Descriptor): Promise<void> {
    try {
      const handle = await open(temporary, 'r')
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, this.pathOf(descriptor))
    } catch (error) {
      throw fromSystemError(error, temporary)
    }
  }

  async resolve(reference: Reference): Promise<Descriptor> {
    const wanted = formatReference(reference)
    for await (const [name, descriptor] of this.references()) {
      if (formatReference(name) === wanted) return descriptor
    }
    throw new AirgapError('NOT_FOUND', 'the store does not have this reference', { item: wanted })
  }

  async *references(): AsyncIterable<[Reference, Descriptor]> {
    for (const descriptor of await this.#index()) {
      const name = descriptor.annotations?.[annotationKeys.refName]
      if (name) yield [parseReference(name), descriptor]
    }
  }

  async tag(descriptor: Descriptor, reference: Reference): Promise<void> {
    const name = formatReference(reference)
    const others = (await this.#index()).filter(d => d.annotations?.[annotationKeys.refName] !== name)
    const named = {
      ...descriptor,
      annotations: { ...descriptor.annotations, [annotationKeys.refName]: name },
    }
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...others, named] }
    await writeAtomically(join(this.folder, 'index.json'), canonicalJson(index))
  }

  async #index(): Promise<Descriptor[]> {
    try {
      const index = JSON.parse(await readFile(join(this.folder, 'index.json'), 'utf8'))
      return Array.isArray(index.manifests) ? index.manifests : []
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return []
      throw new AirgapError('BUNDLE_CORRUPT', 'index.json cannot be read', {
        item: join(this.folder, 'index.json'),
        likely: 'the file was damaged or edited',
        next: 'delete the folder and run the command again, or restore it from its source',
        cause: error,
      })
    }
  }
}

/** Returns the size in bytes of a stream's buffer. A stream allocates it at once: 1 MiB per small file would busy the garbage collector. */
function bufferFor(size: number): number {
  return Math.min(1 << 20, Math.max(1, size))
}

async function* chunksOf(path: string, highWaterMark: number /* bytes */): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark })
  } catch (error) {
    throw fromSystemError(error, path)
  }
}
