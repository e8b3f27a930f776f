import type { ReadableStore } from '../content/store.ts'
import { Verifier } from '../content/verify.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type ContentFile, contentFile } from './content-file.ts'
import type { Piece, PieceBuffers } from './piece-buffers.ts'
import type { PieceVerification } from './piece-verification.ts'
import type { Verdicts } from './verdicts.ts'
import type { Wanted } from './verified-once.ts'

/**
 * Reads content and checks every byte that is sent, whatever is known of its file: whole content is hashed, and its last piece waits for
 * the digest; a part is compared with the digests of pieces, for which the whole content is read first.
 */
export async function* verifiedAlways(
  from: { store: ReadableStore; verdicts: Verdicts; buffers: PieceBuffers; pieces: PieceVerification },
  wanted: Wanted,
): AsyncGenerator<Piece> {
  const { descriptor, range } = wanted
  const file = await contentFile(from.store, descriptor)
  const state = await file.state()
  // throws damage that was found lately
  await from.verdicts.known(descriptor, state)
  const isWhole = range.end - range.start === descriptor.size
  try {
    if (isWhole) yield* hashedWhole(file, { descriptor, buffers: from.buffers })
    else yield* comparedPieces(file, { pieces: from.pieces, wanted })
  } catch (error) {
    from.verdicts.noteDamage(descriptor, { state, error })
    throw error
  }
}

async function* hashedWhole(
  file: ContentFile,
  { descriptor, buffers }: { descriptor: Descriptor; buffers: PieceBuffers },
): AsyncGenerator<Piece> {
  const verifier = new Verifier(descriptor)
  for (let position = 0; position < descriptor.size; ) {
    const bytes = buffers.take(descriptor.size - position)
    const done = () => buffers.give(bytes)
    try {
      await file.read(bytes, position)
      verifier.update(bytes)
      position += bytes.length
      if (position === descriptor.size) verifier.finish()
    } catch (error) {
      done()
      throw error
    }
    yield { bytes, done }
  }
}

/** Reads whole pieces, and cuts off what was not requested once they are checked. */
async function* comparedPieces(
  file: ContentFile,
  { pieces, wanted }: { pieces: PieceVerification; wanted: Wanted },
): AsyncGenerator<Piece> {
  const { descriptor, range, signal } = wanted
  const digests = await pieces.piecesOf(descriptor, signal)
  const { unit } = digests
  for (let at = Math.floor(range.start / unit) * unit; at < range.end; at += unit) {
    const bytes = Buffer.allocUnsafe(Math.min(unit, descriptor.size - at))
    await file.read(bytes, at)
    digests.check(bytes, at)
    yield { bytes: bytes.subarray(Math.max(range.start - at, 0), range.end - at), done() {} }
  }
}
