import type { Readable } from 'node:stream'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { SecretQueries } from '../core/secret-queries.ts'
import { refuseHtml } from './captive-portal.ts'
import type { BlobOpener, Fetched, GetOptions, HttpClient, Named, OpenedBody, TooLarge } from './contract.ts'
import { firstOf } from './mirrors.ts'
import { networkError } from './network-errors.ts'
import { contentRange, openedBody, rangeHeaders } from './range.ts'
import { withRetries } from './retry.ts'
import { isRemapped, mirrorsOf, type SourceMap } from './source-map.ts'
import { watchStall } from './stall.ts'
import { Transport, type TransportOptions } from './transport.ts'
import { type WebLogins, webLogins, withQueries } from './web-logins.ts'

export interface HttpOptions extends TransportOptions {
  sources?: SourceMap
  /** default: netrc and apt's auth.conf */
  logins?: WebLogins
  /** of the manifest's URLs */
  secretQueries?: SecretQueries
}

/** The product's HTTP client, on which the registry client is built. */
export interface TransportingHttpClient extends HttpClient {
  readonly transport: Transport
}

/** Creates an HTTP client over undici with the environment's proxies, retries, mirrors and redirects. The caller closes it. */
export function createHttpClient(options: HttpOptions = {}): TransportingHttpClient {
  const transport = new Transport(options)
  const { sources = [], env = process.env } = options
  const secretQueries = options.secretQueries ?? new SecretQueries()
  const logins = withQueries(options.logins ?? webLogins({ env }), secretQueries)
  const web = { transport, logins }
  // where a person has remapped the URL, the place is theirs, whatever names the URL
  const placesOf = (url: string, { namedBy }: Named = {}): Place[] =>
    isRemapped(sources, url)
      ? mirrorsOf(sources, url).map(place => ({ url: place }))
      : [defined({ url, namedBy })]
  return {
    transport,
    secretQueries,
    get: (url, request) => firstOf(placesOf(url, request), place => getWhole(web, place, request), transport),
    size: (url, named) => firstOf(placesOf(url, named), place => sizeOf(web, place), transport),
    openers: (url, named) => placesOf(url, named).map(place => urlOpener(web, place)),
    mirrors: url => mirrorsOf(sources, url),
    locate: (url, named) => locate(transport, defined({ url, ...named })),
    close: () => transport.close(),
  }
}

interface Place extends Named {
  url: string
}

interface Web {
  transport: Transport
  logins: WebLogins
}

async function getWhole(
  { transport, logins }: Web,
  { url, namedBy }: Place,
  request: Omit<GetOptions, 'namedBy'>,
): Promise<Fetched> {
  return await withRetries(async () => {
    const response = await transport.send(url, { logins, namedBy, ...defined({ headers: request.headers }) })
    const body = await refuseHtml(response, { wanted: url })
    const bytes = await collectBody(body, {
      transport,
      item: response.url,
      maxBytes: request.maxBytes,
      headers: response.headers,
      ...defined({ tooLargeIs: request.tooLargeIs }),
    })
    return { url: response.url, headers: response.headers, bytes }
  }, transport.retrying())
}

/** Reads a body into memory. Throws `tooLargeIs` above `maxBytes` (memory exhaustion), NETWORK if it stalls, breaks or ends too early. */
export async function collectBody(
  body: Readable,
  options: {
    transport: Transport
    item: string
    maxBytes: number
    headers: Record<string, string>
    tooLargeIs?: TooLarge
  },
): Promise<Buffer> {
  const { maxBytes, item } = options
  const watch = watchStall(body, { ...options.transport.stall, item })
  const chunks: Uint8Array[] = []
  let size = declaredSize(options.headers)
  try {
    if (size > maxBytes) throw tooLarge(options)
    size = 0
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      size += chunk.length
      watch.count(chunk.length)
      if (size > maxBytes) break
      chunks.push(chunk)
    }
  } catch (error) {
    options.transport.signal?.throwIfAborted()
    throw networkError(error, item)
  } finally {
    watch.stop()
    body.destroy()
  }
  if (size > maxBytes) throw tooLarge(options)
  return Buffer.concat(chunks, size)
}

function declaredSize(headers: Record<string, string>): number {
  const length = headers['content-length'] ?? ''
  return /^\d{1,15}$/.test(length) ? Number(length) : 0
}

function tooLarge({
  item,
  maxBytes,
  tooLargeIs = 'UNSUPPORTED',
}: {
  item: string
  maxBytes: number
  tooLargeIs?: TooLarge
}): AirgapError {
  const what = `the answer is larger than ${maxBytes} bytes`
  switch (tooLargeIs) {
    case 'SIZE_MISMATCH':
      return new AirgapError('SIZE_MISMATCH', `${what}, its size in the list that vouches for it`, {
        item,
        likely: 'a mirror in the middle of an update, or tampering',
        next: 'run the same command again in a few minutes, or use another mirror (--remap); nothing was saved',
      })
    case 'UPSTREAM_INVALID':
      return new AirgapError('UPSTREAM_INVALID', `${what}, so it is not what was requested`, {
        item,
        likely: 'the address is that of other content, or something on the connection answers instead',
        next: 'request the address with `curl -v`, and correct it in the manifest; nothing was saved',
      })
    case 'UNSUPPORTED':
      return new AirgapError('UNSUPPORTED', `${what}, the limit for content of this kind`, {
        item,
        likely: 'unrelated files were packed into it, or the address is that of other content',
        next: 'check the address, report it to the publisher, or use another version; nothing was saved',
      })
  }
}

async function locate(transport: Transport, { url, namedBy }: Place): ReturnType<HttpClient['locate']> {
  const asked = new URL(url)
  const judged = async (to: URL) => {
    const from = to.hostname === asked.hostname ? namedBy : url
    return from === undefined
      ? {}
      : defined({ addresses: await transport.judgedAddresses(new URL(from), to) })
  }
  if (!/^https?:$/.test(asked.protocol)) {
    if (namedBy !== undefined) await transport.assertMayFollow(new URL(namedBy), asked)
    return { url, isProtected: false, ...(await judged(asked)) }
  }
  try {
    const answer = await transport.send(url, { namedBy, handles: [401, 403, 404, 405, 407, 500, 503] })
    answer.body.destroy()
    const { origin, pathname } = new URL(answer.url)
    const isProtected = answer.status === 401 || answer.status === 403
    return { url: `${origin}${pathname}`, isProtected, ...(await judged(new URL(answer.url))) }
  } catch (error) {
    if (!(error instanceof AirgapError) || error.code === 'REDIRECT_REFUSED') throw error
    return { url: `${asked.origin}${asked.pathname}`, isProtected: false, ...(await judged(asked)) }
  }
}

async function sizeOf({ transport, logins }: Web, { url, namedBy }: Place): Promise<number | undefined> {
  return await withRetries(async () => {
    const head = await transport.send(url, {
      logins,
      namedBy,
      method: 'HEAD',
      handles: [400, 403, 404, 405, 501],
    })
    head.body.destroy()
    const length = head.headers['content-length']
    if (head.status < 300 && length !== undefined && /^\d{1,15}$/.test(length)) return Number(length)
    // for servers that refuse HEAD, and URLs that are signed for GET only
    const probe = await transport.send(url, {
      logins,
      namedBy,
      headers: { range: 'bytes=0-0' },
      handles: [416],
    })
    probe.body.destroy()
    if (probe.status === 206) return contentRange(probe.headers['content-range'])?.size
    const whole = probe.headers['content-length']
    return probe.status === 200 && whole !== undefined && /^\d+$/.test(whole) ? Number(whole) : undefined
  }, transport.retrying())
}

function urlOpener({ transport, logins }: Web, { url, namedBy }: Place): BlobOpener {
  return {
    name: redactUrl(url),
    async open(at, signal): Promise<OpenedBody> {
      const response = await transport.send(url, {
        logins,
        namedBy,
        headers: rangeHeaders(at),
        signal,
        handles: [416],
      })
      const body = await refuseHtml(response, { wanted: url })
      return openedBody({ ...response, body }, at)
    },
  }
}
