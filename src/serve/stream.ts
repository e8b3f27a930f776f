import type { ServerResponse } from 'node:http'
import type { ReadableStore } from '../content/store.ts'
import { verified } from '../content/verify.ts'
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
const smallestPiece = 32 << 10 /* bytes */
/** of all answers in flight together, beside the two smallest pieces that each always gets */
const memoryBudget = 48 << 20 /* bytes */
/** With more answers than this in flight the next piece is not read ahead: others keep the disk busy. */
const maxReadingAhead = 16
/** digests remembered as verified: about 100 bytes each */
const maxRemembered = 20_000

/** Bytes that one answer holds in memory. */
interface Account {
  held: number
}

export function blobSender(store: ReadableStore): BlobSender {
  const sentBytes = new WeakMap<ServerResponse, number>()
  const verdicts = new Map<Digest, Promise<void>>()
  const accounts = new Set<Account>()
  let held = 0

  function hold(account: Account, bytes: number): void {
    account.held += bytes
    held += bytes
  }

  /**
   * A piece is a small share of what the budget has left: slow clients that already hold large pieces leave small ones to
   * those that come after them, and a few fast ones get large pieces.
   */
  function pieceSize(): number {
    const share = Math.floor((memoryBudget - held) / 32)
    return Math.max(smallestPiece, Math.min(largestPiece, share))
  }

  async function readPiece(descriptor: Descriptor, piece: ByteRange): Promise<Uint8Array> {
    const length = piece.end - piece.start
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of (await store.open(descriptor, piece)) as AsyncIterable<Uint8Array>) {
      chunks.push(chunk)
      size += chunk.length
    }
    const [only] = chunks
    if (size === length) return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, size)
    throw new AirgapError('SIZE_MISMATCH', `${size} bytes where ${length} are expected`, {
      item: descriptor.digest,
      likely: 'the bundle was cut short or replaced while it was served',
      next: 'run verify on the bundle',
    })
  }

  /** With few answers in flight, the next piece is read while the last one is hashed and sent. */
  async function* pieces(
    descriptor: Descriptor,
    { range, account }: { range: ByteRange; account: Account },
  ): AsyncGenerator<Uint8Array> {
    let position = range.start
    const next = () => {
      const piece = { start: position, end: Math.min(position + pieceSize(), range.end) }
      hold(account, piece.end - piece.start)
      position = piece.end
      const bytes = readPiece(descriptor, piece)
      // a failure is met when this piece's turn comes: it must not end the process before
      bytes.catch(() => {})
      return bytes
    }
    let ahead: Promise<Uint8Array> | undefined
    while (ahead !== undefined || position < range.end) {
      const bytes: Uint8Array = await (ahead ?? next())
      ahead = position < range.end && accounts.size <= maxReadingAhead ? next() : undefined
      yield bytes
    }
  }

  function wholeVerified(descriptor: Descriptor, account: Account): AsyncGenerator<Uint8Array> {
    return verified(descriptor, pieces(descriptor, { range: { start: 0, end: descriptor.size }, account }))
  }

  /** Whatever way the work ends, what it held is free again. */
  async function accounted<T>(work: (account: Account) => Promise<T>): Promise<T> {
    const account: Account = { held: 0 }
    accounts.add(account)
    try {
      return await work(account)
    } finally {
      accounts.delete(account)
      hold(account, -account.held)
    }
  }

  async function readThrough(descriptor: Descriptor): Promise<void> {
    await accounted(async account => {
      for await (const bytes of wholeVerified(descriptor, account)) {
        hold(account, -bytes.length)
        release(bytes)
      }
    })
  }

  /** A part cannot be checked by itself, so the whole is read once before the first part goes out. */
  async function verifyOnce(descriptor: Descriptor): Promise<void> {
    const { digest } = descriptor
    let verdict = verdicts.get(digest)
    if (verdict === undefined) {
      verdict = readThrough(descriptor)
      verdicts.set(digest, verdict)
      const [oldest] = verdicts.keys()
      if (verdicts.size > maxRemembered && oldest !== undefined) verdicts.delete(oldest)
    }
    try {
      await verdict
    } catch (error) {
      verdicts.delete(digest)
      throw error
    }
  }

  async function write(response: ServerResponse, bytes: Uint8Array): Promise<void> {
    if (response.destroyed) throw new ClientGone()
    sentBytes.set(response, (sentBytes.get(response) ?? 0) + bytes.length)
    await taken(response, bytes)
  }

  async function pump(
    response: ServerResponse,
    { body, account }: { body: AsyncIterable<Uint8Array>; account: Account },
  ): Promise<unknown> {
    try {
      for await (const bytes of body) {
        const { length } = bytes
        await write(response, bytes)
        hold(account, -length)
        release(bytes)
      }
      response.end()
      return undefined
    } catch (error) {
      response.destroy()
      return error instanceof ClientGone ? undefined : error
    }
  }

  return {
    async send(response, descriptor, { head, range, begin }) {
      if (range !== undefined) await verifyOnce(descriptor)
      return accounted(async account => {
        const content =
          range === undefined ? wholeVerified(descriptor, account) : pieces(descriptor, { range, account })
        const body = startedBy(await content.next(), content)
        begin?.()
        sentBytes.set(response, 0)
        response.writeHead(head.status, head.headers)
        return pump(response, { body, account })
      })
    },
    sent: response => sentBytes.get(response),
  }
}

/** A generator that was asked for its first piece already, to fail before the head of the answer went out. */
async function* startedBy(
  first: IteratorResult<Uint8Array>,
  rest: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (first.done) return
  yield first.value
  yield* rest
}

/** Not an error of anyone's: whoever asked has left. */
class ClientGone extends Error {}

/** Writes and waits until the system took it all. How long that may take is the socket's own timeout. */
async function taken(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const gone = () => reject(new ClientGone())
    response.once('close', gone)
    response.write(bytes, error => {
      response.off('close', gone)
      if (error) gone()
      else resolve()
    })
  })
}

/**
 * Gives a piece's memory back at once, as nothing looks into it any more: left to the garbage collector, many answers in
 * flight hold 60 MB more and are a third slower. Only where the piece is all of its buffer.
 */
function release(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0)
}
