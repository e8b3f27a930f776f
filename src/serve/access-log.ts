import type { IncomingMessage, ServerResponse } from 'node:http'
import { defined } from '../core/defined.ts'
import type { AccessEntry } from './served.ts'

/** Follows answers to their end and logs each once. */
export interface AccessLog {
  /** Must be called once for every request, before it is answered. */
  follow(request: IncomingMessage, response: ServerResponse): void
  /** Records an error on this side during an answer. */
  noteError(response: ServerResponse, error: unknown): void
  /** Logs a request that could not be parsed. */
  refused(status: number, details: { remoteAddress: string; error: string }): void
}

const maxUrl = 1_000 /* characters */

/** `sent` returns how many bytes of a body have been sent; undefined if the whole body was passed at once. */
export function accessLog(
  log: (entry: AccessEntry) => void,
  { sent }: { sent: (response: ServerResponse) => number | undefined },
): AccessLog {
  const errors = new WeakMap<ServerResponse, string>()
  return {
    follow(request, response) {
      const started = performance.now()
      const remoteAddress = request.socket?.remoteAddress ?? ''
      const url = request.url ?? ''
      response.once('close', () => {
        const finished = response.writableFinished
        const agent = request.headers['user-agent']
        const error = errors.get(response)
        log({
          method: request.method ?? '',
          url: url.slice(0, maxUrl),
          status: response.headersSent ? response.statusCode : 0,
          bytes: request.method === 'HEAD' ? 0 : (sent(response) ?? (finished ? bodyLength(response) : 0)),
          milliseconds: Math.round((performance.now() - started) * 10) / 10,
          remoteAddress,
          ...defined({
            userAgent: agent?.slice(0, 200),
            aborted: finished ? undefined : (true as const),
            error,
          }),
        })
      })
    },
    noteError(response, error) {
      errors.set(response, error instanceof Error ? error.message : String(error))
    },
    refused(status, { remoteAddress, error }) {
      log({ method: '', url: '', status, bytes: 0, milliseconds: 0, remoteAddress, error })
    },
  }
}

function bodyLength(response: ServerResponse): number {
  return Number(response.getHeader('content-length') ?? 0)
}
