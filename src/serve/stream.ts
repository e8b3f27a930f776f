import type { ServerResponse } from 'node:http'
import type { ReadableStore } from '../content/store.ts'
import { verified } from '../content/verify.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import type { PieceDigests } from './piece-digests.ts'
import { type Account, pieceReader, release } from './pieces.ts'
import { type Verification, verification } from './verification.ts'

/** Sends content of a store in such a way that an answer with wrong bytes never completes. */
export interface BlobSender {
  /**
   * Writes `head` and then the content, or its `range`, to `response`. Throws before anything is sent if the content cannot be read or
   * is known to be wrong; later it can only close the connection, and resolves with the error.
   */
  send(response: ServerResponse, descriptor: Descriptor, options: SendOptions): Promise<unknown>
  /** Returns the bytes of a body that have been sent; undefined for answers of other code. */
  sent(response: ServerResponse): number | undefined
  /** what is known of the content */
  verification: Verification
}

export interface SendOptions {
  head: { status: number; headers: Record<string, string | number> }
  range?: ByteRange
  /** called once, just before the first byte is written: from then on no other code may answer */
  begin?: () => void
}

export function blobSender(store: ReadableStore): BlobSender {
  const sentBytes = new WeakMap<ServerResponse, number>()
  const reader = pieceReader(store)
  const verdicts = verification(store, reader)

  function wholeVerified(descriptor: Descriptor, account: Account): AsyncGenerator<Uint8Array> {
    const range = { start: 0, end: descriptor.size }
    return verified(descriptor, reader.pieces(descriptor, { range, account }))
  }

  /** Reads whole pieces, and cuts off what was not requested once they are checked. */
  async function* rangeVerified(
    descriptor: Descriptor,
    { range, digests, account }: { range: ByteRange; digests: PieceDigests; account: Account },
  ): AsyncGenerator<Uint8Array> {
    const { unit } = digests
    const start = Math.floor(range.start / unit) * unit
    const end = Math.min(Math.ceil(range.end / unit) * unit, descriptor.size)
    let position = start
    for await (const bytes of reader.pieces(descriptor, { range: { start, end }, account, unit })) {
      digests.check(bytes, position)
      const from = Math.max(range.start - position, 0)
      const to = Math.min(range.end - position, bytes.length)
      position += bytes.length
      yield from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
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
        reader.hold(account, -length)
        release(bytes)
      }
      response.end()
      return undefined
    } catch (error) {
      response.destroy()
      return error instanceof ClientGone ? undefined : error
    }
  }

  async function sendContent(
    response: ServerResponse,
    descriptor: Descriptor,
    {
      head,
      begin,
      contentOf,
    }: Omit<SendOptions, 'range'> & { contentOf: (account: Account) => AsyncGenerator<Uint8Array> },
  ): Promise<unknown> {
    const state = await verdicts.stateOf(descriptor)
    return await reader.accounted(async account => {
      const content = contentOf(account)
      try {
        const body = resumed(await content.next(), content)
        begin?.()
        sentBytes.set(response, 0)
        response.writeHead(head.status, head.headers)
        const failure = await pump(response, { body, account })
        verdicts.noteDamage(descriptor, { error: failure, state })
        return failure
      } catch (error) {
        verdicts.noteDamage(descriptor, { error, state })
        throw error
      }
    })
  }

  return {
    verification: verdicts,
    async send(response, descriptor, { range, ...options }) {
      if (range === undefined) {
        await verdicts.refuseDamaged(descriptor)
        const contentOf = (account: Account) => wholeVerified(descriptor, account)
        return await sendContent(response, descriptor, { ...options, contentOf })
      }
      const gone = goneSignal(response)
      try {
        const digests = await verdicts.piecesOf(descriptor, gone.signal)
        const contentOf = (account: Account) => rangeVerified(descriptor, { range, digests, account })
        return await sendContent(response, descriptor, { ...options, contentOf })
      } catch (error) {
        if (!(error instanceof ClientGone)) throw error
        options.begin?.()
        return undefined
      } finally {
        gone.forget()
      }
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

/** A signal that is aborted when the client disconnects: nothing is read for a client that has left. */
function goneSignal(response: ServerResponse): { signal: AbortSignal; forget: () => void } {
  const controller = new AbortController()
  const abort = () => controller.abort(new ClientGone())
  if (response.destroyed || response.closed) abort()
  response.once('close', abort)
  return { signal: controller.signal, forget: () => response.off('close', abort) }
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
