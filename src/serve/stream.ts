import type { ServerResponse } from 'node:http'
import type { ReadableStore } from '../content/store.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import { type Piece, pieceBuffers } from './piece-buffers.ts'
import { pieceVerification } from './piece-verification.ts'
import type { VerifyMode } from './served.ts'
import type { Verdicts } from './verdicts.ts'
import { verifiedAlways } from './verified-always.ts'
import { verifiedOnce, type Wanted } from './verified-once.ts'

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

/** With more answers in flight, the next piece is not read ahead: other answers keep the disk busy. */
const maxReadingAhead = 64

export function blobSender(
  store: ReadableStore,
  { verdicts, verify, bufferBytes }: { verdicts: Verdicts; verify: VerifyMode; bufferBytes?: number },
): BlobSender {
  const sentBytes = new WeakMap<ServerResponse, number>()
  const buffers = pieceBuffers(bufferBytes)
  const from = { store, verdicts, buffers, pieces: pieceVerification(store) }
  let inFlight = 0

  async function write(response: ServerResponse, bytes: Uint8Array): Promise<void> {
    if (response.destroyed) throw new ClientGone()
    if (bytes.length === 0) {
      response.flushHeaders()
      return
    }
    sentBytes.set(response, (sentBytes.get(response) ?? 0) + bytes.length)
    await writeAll(response, bytes)
  }

  async function pump(
    response: ServerResponse,
    { first, rest }: { first: IteratorResult<Piece>; rest: AsyncGenerator<Piece> },
  ): Promise<void> {
    for (let piece = first; !piece.done; piece = await rest.next()) {
      try {
        await write(response, piece.value.bytes)
      } finally {
        piece.value.done()
      }
    }
    response.end()
  }

  async function sendContent(
    response: ServerResponse,
    { wanted, head, begin }: { wanted: Wanted } & Pick<SendOptions, 'head' | 'begin'>,
  ): Promise<unknown> {
    const rest = verify === 'once' ? verifiedOnce(from, wanted) : verifiedAlways(from, wanted)
    try {
      // the first piece is read before the head of the answer is sent: it may fail
      const first = await rest.next()
      begin?.()
      sentBytes.set(response, 0)
      response.writeHead(head.status, head.headers)
      await pump(response, { first, rest })
      return undefined
    } catch (error) {
      if (!response.headersSent) throw error
      response.destroy()
      return error instanceof ClientGone ? undefined : error
    } finally {
      await rest.return(undefined)
    }
  }

  return {
    async send(response, descriptor, { range = { start: 0, end: descriptor.size }, ...options }) {
      const gone = goneSignal(response)
      inFlight++
      try {
        const readsAhead = () => inFlight <= maxReadingAhead
        const wanted = { descriptor, range, signal: gone.signal, readsAhead }
        return await sendContent(response, { wanted, ...options })
      } catch (error) {
        if (!(error instanceof ClientGone)) throw error
        options.begin?.()
        return undefined
      } finally {
        inFlight--
        gone.forget()
      }
    },
    sent: response => sentBytes.get(response),
  }
}

/** The client has disconnected; that is not an error. */
class ClientGone extends Error {}

/** A signal that is aborted when the client disconnects: nothing is read for a client that has left. */
function goneSignal(response: ServerResponse): { signal: AbortSignal; forget: () => void } {
  const controller = new AbortController()
  const abort = () => controller.abort(new ClientGone())
  if (response.destroyed || response.closed) abort()
  response.once('close', abort)
  return {
    signal: controller.signal,
    forget() {
      response.off('close', abort)
      abort()
    },
  }
}

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
