import { hash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import type { LayoutStore } from './layout-store.ts'

const blockSize = 16 << 10 /* bytes */
const digestSize = 32 /* bytes */

/** SHA-256 of every block of a document, one behind the other: parts of it can be verified without reading the rest. */
export type BlockDigests = Uint8Array<ArrayBuffer>

/** Takes a document in parts. */
export class BlockHasher {
  readonly #digests: Buffer[] = []
  /** the beginning of a block */
  readonly #held = Buffer.alloc(blockSize)
  #size = 0

  update(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      const part = chunk.subarray(at, at + blockSize - this.#size)
      at += part.length
      if (part.length === blockSize) this.#digests.push(hash('sha256', part, 'buffer'))
      else {
        this.#held.set(part, this.#size)
        this.#size += part.length
        if (this.#size === blockSize) this.#finish()
      }
    }
  }

  digests(): BlockDigests {
    if (this.#size > 0) this.#finish()
    return new Uint8Array(Buffer.concat(this.#digests))
  }

  #finish(): void {
    this.#digests.push(hash('sha256', this.#held.subarray(0, this.#size), 'buffer'))
    this.#size = 0
  }
}

/**
 * Returns parts of a document in the cache, in the order of `ranges`, verified without reading the rest, which `LayoutStore.parts` reads:
 * with lists of hundreds of megabytes that is most of the time. Throws DIGEST_MISMATCH.
 */
export async function verifiedParts(
  cache: LayoutStore,
  descriptor: Descriptor,
  { ranges, digests }: { ranges: readonly ByteRange[]; digests: BlockDigests },
): Promise<Buffer[]> {
  const blocks = ranges.map(({ start, end }) => ({
    start: start - (start % blockSize),
    end: Math.min(descriptor.size, Math.ceil(end / blockSize) * blockSize),
  }))
  const path = cache.pathOf(descriptor)
  const parts = await readRanges(path, blocks)
  return parts.map((part, i) => {
    const { start } = blocks[i]!
    for (let at = 0; at < part.length; at += blockSize) {
      const known = ((start + at) / blockSize) * digestSize
      const actual = hash('sha256', part.subarray(at, at + blockSize), 'buffer')
      if (actual.equals(digests.subarray(known, known + digestSize))) continue
      throw new AirgapError('DIGEST_MISMATCH', 'a document in the cache is damaged', {
        item: path,
        likely: 'a faulty disk, or somebody changed the file',
        next: 'delete that file and run the command again',
      })
    }
    return part.subarray(ranges[i]!.start - start, ranges[i]!.end - start)
  })
}

async function readRanges(path: string, ranges: readonly ByteRange[]): Promise<Buffer[]> {
  try {
    await using file = await open(path, 'r')
    const parts: Buffer[] = []
    for (const { start, end } of ranges) {
      const part = Buffer.allocUnsafe(end - start)
      const { bytesRead } = await file.read(part, 0, part.length, start)
      parts.push(part.subarray(0, bytesRead))
    }
    return parts
  } catch (error) {
    throw fromSystemError(error, path)
  }
}
