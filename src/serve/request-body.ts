import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'

/** The body as it comes. A reader that stops before its end leaves the connection as it is. */
export function bodyOf({ body }: FastifyRequest): AsyncIterable<Uint8Array> {
  return body instanceof Readable ? body.iterator({ destroyOnReturn: false }) : Readable.from([])
}

/** of a refused body; then its connection is closed */
const maxDiscarded = 64 << 20 /* bytes */
const maxDiscardMs = 30_000

/**
 * Discards what is left of a body after its answer. A connection that is closed while the client still sends is reset, and the
 * client would see that instead of the answer (RFC 9112, 9.6).
 */
export function discardRest({ body, raw }: FastifyRequest): void {
  if (!(body instanceof Readable) || raw.readableEnded || raw.destroyed) return
  let left = maxDiscarded
  const timer = setTimeout(() => raw.socket.destroy(), maxDiscardMs)
  raw.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) raw.socket.destroy()
  })
  raw.once('close', () => clearTimeout(timer))
  raw.once('end', () => clearTimeout(timer))
  raw.resume()
}
