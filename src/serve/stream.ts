import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { collect } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import { Verifier } from '../content/verify.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'

/** Sends content of a store, so that wrong bytes never come to a good end at the client. */
export interface BlobSender {
  /**
   * Writes `head` and then the content, or `range` of it, to `response`. Throws before anything was sent where the content
   * cannot be read or is known to be wrong; later it can only break the connection, and resolves with the error.
   */
  send(response: ServerResponse, descriptor: Descriptor, options: SendOptions): Promise<unknown>
  /** bytes of a body sent so far; undefined for answers that were not made here */
  sent(response: ServerResponse): number | undefined
}

export interface SendOptions {
  head: { status: number; headers: Record<string, string | number> }
  range?: ByteRange
  /** called once, just before the first byte is written: from here on nobody else may answer */
  begin?: () => void
}

const largestPiece = 1 << 20 /* bytes: with 64 KiB reads a server is three times slower */
const smallestPiece = 64 << 10 /* bytes */
/** of all answers in flight together; each holds up to three pieces */
const memoryBudget = 96 << 20 /* bytes */
/** digests remembered as verified: about 100 bytes each */
const maxRemembered = 20_000

export function blobSender(store: ReadableStore): BlobSender {
  const sentBytes = new WeakMap<ServerResponse, number>()
  const verified = new Map<Digest, Promise<void>>()
  let active = 0

  /** A thousand slow clients get small pieces, a few fast ones large ones: memory stays the same. */
  function pieceSize(): number {
    const fair = memoryBudget / 3 / Math.max(1, active)
    return Math.max(smallestPiece, Math.min(largestPiece, 2 ** Math.floor(Math.log2(fair))))
  }

  async function readPiece(descriptor: Descriptor, piece: ByteRange): Promise<Buffer> {
    const length = piece.end - piece.start
    const bytes = await collect(await store.open(descriptor, piece), length)
    if (bytes.length === length) return bytes
    throw new AirgapError('SIZE_MISMATCH', `${bytes.length} bytes where ${length} are expected`, {
      item: descriptor.digest,
      likely: 'the bundle was cut short or replaced while it was served',
      next: 'run verify on the bundle',
    })
  }

  /** The next piece is read while the last one is hashed and sent. */
  async function* pieces(descriptor: Descriptor, range: ByteRange): AsyncGenerator<Buffer> {
    const next = (start: number) => {
      const piece = { start, end: Math.min(start + pieceSize(), range.end) }
      const bytes = readPiece(descriptor, piece)
      // a failure is met when this piece's turn comes: it must not end the process before
      bytes.catch(() => {})
      return { bytes, end: piece.end }
    }
    let ahead = next(range.start)
    for (;;) {
      const bytes = await ahead.bytes
      if (ahead.end >= range.end) {
        yield bytes
        return
      }
      ahead = next(ahead.end)
      yield bytes
    }
  }

  /** Holds the last piece back until the digest is right. */
  async function* wholeVerified(descriptor: Descriptor): AsyncGenerator<Buffer> {
    const verifier = new Verifier(descriptor)
    let held: Buffer | undefined
    if (descriptor.size > 0) {
      for await (const bytes of pieces(descriptor, { start: 0, end: descriptor.size })) {
        if (held !== undefined) yield held
        verifier.update(bytes)
        held = bytes
      }
    }
    verifier.finish()
    if (held !== undefined) yield held
  }

  async function readThrough(descriptor: Descriptor): Promise<void> {
    for await (const _ of wholeVerified(descriptor)) {
      // only the verdict is wanted
    }
  }

  /** A part cannot be checked by itself, so the whole is read once before the first part goes out. */
  async function verifyOnce(descriptor: Descriptor): Promise<void> {
    const { digest } = descriptor
    let verdict = verified.get(digest)
    if (verdict === undefined) {
      verdict = readThrough(descriptor)
      verified.set(digest, verdict)
      const [oldest] = verified.keys()
      if (verified.size > maxRemembered && oldest !== undefined) verified.delete(oldest)
    }
    try {
      await verdict
    } catch (error) {
      verified.delete(digest)
      throw error
    }
  }

  async function write(response: ServerResponse, bytes: Buffer): Promise<void> {
    if (response.destroyed) throw new ClientGone()
    const flowing = response.write(bytes)
    sentBytes.set(response, (sentBytes.get(response) ?? 0) + bytes.length)
    if (!flowing) await drained(response)
  }

  async function pump(
    response: ServerResponse,
    { first, rest }: { first: Buffer | undefined; rest: AsyncGenerator<Buffer> },
  ): Promise<unknown> {
    try {
      if (first !== undefined) await write(response, first)
      for await (const bytes of rest) await write(response, bytes)
      response.end()
      return undefined
    } catch (error) {
      response.destroy()
      return error instanceof ClientGone ? undefined : error
    }
  }

  return {
    async send(response, descriptor, { head, range, begin }) {
      active++
      try {
        if (range !== undefined) await verifyOnce(descriptor)
        const body =
          range === undefined
            ? wholeVerified(descriptor)
            : range.start < range.end
              ? pieces(descriptor, range)
              : nothing()
        const first = await body.next()
        begin?.()
        sentBytes.set(response, 0)
        response.writeHead(head.status, head.headers)
        return await pump(response, { first: first.done ? undefined : first.value, rest: body })
      } finally {
        active--
      }
    },
    sent: response => sentBytes.get(response),
  }
}

/** Not an error of anyone's: whoever asked has left. */
class ClientGone extends Error {}

async function* nothing(): AsyncGenerator<Buffer> {}

/** Waits until the client took what was written. How long that may take is the socket's own timeout. */
async function drained(response: ServerResponse): Promise<void> {
  const ended = new AbortController()
  const gone = () => ended.abort()
  response.once('close', gone)
  try {
    await once(response, 'drain', { signal: ended.signal })
  } catch {
    throw new ClientGone()
  } finally {
    response.off('close', gone)
  }
}
