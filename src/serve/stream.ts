import type { ServerResponse } from 'node:http'
import type { ReadableStore } from '../content/store.ts'
import { verified } from '../content/verify.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'

/** Sends content of a store in such a way that an answer with wrong bytes never completes. */
export interface BlobSender {
  /**
   * Writes `head` and then the content, or its `range`, to `response`. Throws before anything is sent if the content cannot be read or
   * is known to be wrong; later it can only close the connection, and resolves with the error.
   */
  send(response: ServerResponse, descriptor: Descriptor, options: SendOptions): Promise<unknown>
  /** Returns the bytes of a body that have been sent; undefined for answers of other code. */
  sent(response: ServerResponse): number | undefined
}

export interface SendOptions {
  head: { status: number; headers: Record<string, string | number> }
  range?: ByteRange
  /** called once, just before the first byte is written: from then on no other code may answer */
  begin?: () => void
}

const largestPiece = 1 << 20 /* bytes; reads of 64 KiB make a server three times slower */
const smallestPiece = 32 << 10 /* bytes */
/** of all answers in flight together, in addition to the two smallest pieces that each always gets */
const memoryBudget = 48 << 20 /* bytes */
/** With more answers in flight, the next piece is not read ahead: other answers keep the disk busy. */
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
   * Returns a small share of the remaining budget: slow clients with large pieces leave small ones for others, and a few fast clients
   * get large pieces.
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
    throw new AirgapError('SIZE_MISMATCH', `the content is ${size} bytes long; ${length} were expected`, {
      item: descriptor.digest,
      likely: 'the bundle was truncated or replaced while it was served',
      next: 'run `offline-deploy verify` on the bundle',
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
      // thrown when this piece is awaited; an unhandled rejection would end the process
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

  /** Frees what the work held, whether it succeeds or fails. */
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

  /** A part cannot be verified on its own, so the whole content is read once before its first part is sent. */
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
    await writeAll(response, bytes)
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
        const body = resumed(await content.next(), content)
        begin?.()
        sentBytes.set(response, 0)
        response.writeHead(head.status, head.headers)
        return pump(response, { body, account })
      })
    },
    sent: response => sentBytes.get(response),
  }
}

/** Continues a generator whose first piece was read already, so that it fails before the head of the answer is sent. */
async function* resumed(
  first: IteratorResult<Uint8Array>,
  rest: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (first.done) return
  yield first.value
  yield* rest
}

/** The client has disconnected; that is not an error. */
class ClientGone extends Error {}

/** Writes and waits until the system has accepted everything; the timeout is that of the socket. */
async function writeAll(response: ServerResponse, bytes: Uint8Array): Promise<void> {
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
 * Frees a piece's memory at once, as it is no longer needed: left to the garbage collector, many answers in flight hold 60 MB more and
 * are a third slower. Only if the piece is all of its buffer.
 */
function release(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0)
}
