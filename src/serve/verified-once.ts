import type { ReadableStore } from '../content/store.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import { type ContentFile, contentFile } from './content-file.ts'
import type { Piece, PieceBuffers } from './piece-buffers.ts'
import { type Verdicts, writtenTo } from './verdicts.ts'

/** What is sent, and to whom. */
export interface Wanted {
  descriptor: Descriptor
  range: ByteRange
  /** aborted when the client disconnects */
  signal: AbortSignal
  /** whether the next piece is read while one is sent */
  readsAhead: () => boolean
}

/** Whole content up to this size is verified before its answer begins: if it is damaged, the client gets an error instead of a part. */
const verifiedFirst = 1 << 20 /* bytes */
/** Kept back of an answer whose content is not verified yet; not more than half of it, so that every client gets a first byte at once. */
const maxHeldBack = 4 << 10 /* bytes */

/**
 * Reads content that is hashed once for each state of its file: verified content is passed on as it is; of other content, the last bytes
 * of the answer wait until all of it is verified. A piece counts only if the state was the same before and after it was read. Where somebody
 * writes to the file, the rest has to be verified in the new state; a second change in the meantime ends the answer. An empty piece means
 * that the answer has begun, although it has to wait.
 */
export async function* verifiedOnce(
  { store, verdicts, buffers }: { store: ReadableStore; verdicts: Verdicts; buffers: PieceBuffers },
  { descriptor, range, signal, readsAhead }: Wanted,
): AsyncGenerator<Piece> {
  const file = await contentFile(store, descriptor)
  const check = await stateCheck(verdicts, { descriptor, file, signal })
  if (range.end - range.start === descriptor.size && descriptor.size <= verifiedFirst) await check.verified()
  let position = range.start
  const next = () => {
    const buffer = buffers.take(range.end - position)
    const at = position
    position += buffer.length
    const bytes = check.read(buffer, at)
    // thrown when this piece is awaited; an unhandled rejection would end the process
    bytes.catch(() => {})
    return { buffer, bytes }
  }
  let ahead: ReturnType<typeof next> | undefined = next()
  try {
    while (ahead !== undefined) {
      const { buffer } = ahead
      await ahead.bytes
      ahead = undefined
      const done = () => buffers.give(buffer)
      // throws as soon as damage is known
      if (!check.isVerified() && position >= range.end) {
        const heldBack = Math.min(maxHeldBack, Math.ceil(buffer.length / 2))
        const last = Buffer.copyBytesFrom(buffer, buffer.length - heldBack)
        yield { bytes: buffer.subarray(0, buffer.length - heldBack), done }
        await check.verified()
        yield { bytes: last, done() {} }
        return
      }
      if (position < range.end && readsAhead()) ahead = next()
      yield { bytes: buffer, done }
      if (position < range.end) ahead ??= next()
    }
  } finally {
    // the kernel may still write to this buffer
    const unsent = ahead
    unsent?.bytes.then(
      () => buffers.give(unsent.buffer),
      () => buffers.give(unsent.buffer),
    )
  }
}

/** How often a piece is read again because somebody wrote to the file meanwhile. */
const maxTries = 3

interface StateCheck {
  /** Fills the buffer with bytes of one state of the file; that state is verified, or waits for its verdict. */
  read(buffer: Buffer, position: number): Promise<void>
  /** Returns whether everything that was read is right. Throws the damage as soon as it is known. */
  isVerified(): boolean
  verified(): Promise<void>
}

async function stateCheck(
  verdicts: Verdicts,
  { descriptor, file, signal }: { descriptor: Descriptor; file: ContentFile; signal: AbortSignal },
): Promise<StateCheck> {
  let state = ''
  let verdict: 'right' | 'pending' | { error: unknown } = 'right'
  let verified = Promise.resolve()

  async function enter(now: string): Promise<void> {
    state = now
    if (await verdicts.known(descriptor, now)) return
    verdict = 'pending'
    verified = verdicts.verified(descriptor, { state: now, signal })
    verified.then(
      () => {
        verdict = 'right'
      },
      error => {
        verdict = { error }
      },
    )
  }

  function isVerified(): boolean {
    if (typeof verdict === 'object') throw verdict.error
    return verdict === 'right'
  }

  await enter(await file.state())
  return {
    isVerified,
    verified: () => verified,
    async read(buffer, position) {
      for (let tries = 0; tries < maxTries; tries++) {
        await file.read(buffer, position)
        const now = await file.state()
        if (now === state) return
        // what was read before can't be verified any more
        if (!isVerified()) break
        await enter(now)
      }
      throw writtenTo(descriptor)
    },
  }
}
