import { createHash } from 'node:crypto'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'

const smallestUnit = 128 << 10 /* bytes: as much as a slow client with a range holds in memory */
/** 2 MiB of digests for one blob; larger blobs have larger pieces. */
const maxPieces = 1 << 16
const digestSize = 32 /* bytes */

/**
 * The SHA-256 of each piece of a blob, recorded while the blob was verified: with them a part can be checked on its own. Without them,
 * content that was changed after it was verified would be sent as a range and nobody would notice (CWE-367).
 */
export class PieceDigests {
  /** size of a piece, bytes; the last one may be shorter */
  readonly unit: number
  readonly #digests: Buffer
  readonly #item: string

  constructor({ digest, size }: Descriptor) {
    let unit = smallestUnit
    while (size / unit > maxPieces) unit *= 2
    this.unit = unit
    this.#digests = Buffer.alloc(Math.ceil(size / unit) * digestSize)
    this.#item = digest
  }

  /** memory that the digests take, bytes */
  get bytes(): number {
    return this.#digests.length
  }

  /** Records the pieces that begin at `position`, a multiple of `unit`. */
  record(bytes: Uint8Array, position: number): void {
    for (const [digest, at] of this.#each(bytes, position)) digest.copy(this.#digests, at)
  }

  /** Compares the pieces that begin at `position`, a multiple of `unit`. Throws DIGEST_MISMATCH. */
  check(bytes: Uint8Array, position: number): void {
    for (const [digest, at] of this.#each(bytes, position)) {
      if (digest.equals(this.#digests.subarray(at, at + digestSize))) continue
      throw new AirgapError('DIGEST_MISMATCH', 'a part of the content was changed after it was verified', {
        item: this.#item,
        likely: 'the bundle was written to while it was served, or the medium is failing',
        next: 'run `offline-deploy verify` on the bundle',
      })
    }
  }

  *#each(bytes: Uint8Array, position: number): Generator<[Buffer, number]> {
    for (let offset = 0; offset < bytes.length; offset += this.unit) {
      const digest = createHash('sha256')
        .update(bytes.subarray(offset, offset + this.unit))
        .digest()
      yield [digest, ((position + offset) / this.unit) * digestSize]
    }
  }
}
