import type { IncomingMessage } from 'node:http'
import type { Digest } from '../core/digest.ts'
import { Hasher } from '../core/digest.ts'
import { AirgapError, errnoOf } from '../core/errors.ts'

/** An answer of the site's servers, as a client of the site gets it. */
export interface Answer {
  status: number
  /** of the whole body */
  digest: Digest
  size: number
  /** the first bytes of the body, at most `keep` */
  head: Buffer
}

export interface GetOptions {
  signal: AbortSignal
  headers?: Record<string, string>
  /** bytes of the body to keep; the rest is only hashed */
  keep?: number
  /** without any data */
  timeoutMs?: number
  /** PEM: the only certificates that an https URL is trusted by; undefined: those of the system */
  ca?: string | undefined
}

// a static import of node:http makes node load its fetch, which takes a tenth of this program's start
const http = process.getBuiltinModule('node:http')

/** Sends one GET, without proxy and redirects. Throws NETWORK, for a truncated body too. */
export async function httpGet(url: string, options: GetOptions): Promise<Answer> {
  const { signal, headers = {}, keep = 64 << 10, timeoutMs = 10_000, ca } = options
  return await new Promise((resolve, reject) => {
    const fail = (error: unknown) => reject(signal.aborted ? signal.reason : unreachable(url, error))
    const request = { headers, signal, agent: false, timeout: timeoutMs } as const
    const received = (answer: IncomingMessage) => {
      const hasher = new Hasher()
      const kept: Buffer[] = []
      let size = 0
      let room = keep
      answer.on('data', (chunk: Buffer) => {
        hasher.update(chunk)
        size += chunk.length
        if (room <= 0) return
        kept.push(chunk.subarray(0, room))
        room -= chunk.length
      })
      answer.once('error', fail)
      answer.once('end', () => {
        if (!answer.complete) return fail(new Error('the answer is truncated'))
        return resolve({
          status: answer.statusCode ?? 0,
          digest: hasher.digest(),
          size,
          head: Buffer.concat(kept),
        })
      })
    }
    const outgoing = url.startsWith('https:')
      ? process.getBuiltinModule('node:https').request(url, { ...request, ...trusting(ca) }, received)
      : http.request(url, request, received)
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer for ${timeoutMs / 1000} s`)))
    outgoing.once('error', fail)
    outgoing.end()
  })
}

/** A certificate of the operator's files may be no root: then it is trusted itself. */
function trusting(ca: string | undefined): object {
  return ca === undefined ? {} : { ca, allowPartialTrustChain: true }
}

function unreachable(url: string, cause: unknown): AirgapError {
  const refused = errnoOf(cause) === 'ECONNREFUSED'
  return new AirgapError('NETWORK', `no answer: ${cause instanceof Error ? cause.message : String(cause)}`, {
    item: url,
    likely: refused
      ? 'nothing listens there'
      : 'the address is not one of this host, or a firewall is in between',
    next: 'see `offline-deploy status`, and check --address and the firewall',
    cause,
  })
}
