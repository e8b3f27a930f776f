import { lookup as dnsLookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import type { Readable } from 'node:stream'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { type Progress, silentProgress } from '../core/progress.ts'
import { redactUrl } from '../core/redact.ts'
import type { Reach } from './addresses.ts'
import { type Clock, systemClock } from './clock.ts'
import { type ClientCertificate, createDispatchers, type Dispatchers } from './dispatchers.ts'
import { HostPauses, retryAfterMs } from './host-pauses.ts'
import { networkError, statusError, webUnauthorized } from './network-errors.ts'
import { limitKey, type ReachLimit, ReachLimits, RefusedAddress } from './reach-limits.ts'
import { defaultRetry, type RetryContext, type RetryPolicy } from './retry.ts'
import { defaultStall, type StallLimits } from './stall.ts'
import { basicAuthorization, HopLogins, noWebLogins, type WebLogin, type WebLogins } from './web-logins.ts'

const maxRedirects = 10

export interface TransportOptions {
  progress?: Progress
  /** connections to one host */
  connections?: number
  /** PEM file of additional certificate authorities; default: AIRGAP_CA_FILE. NODE_EXTRA_CA_CERTS applies in any case */
  caFile?: string
  /** client certificates, each for one URL prefix */
  clients?: readonly ClientCertificate[]
  /** proxies (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY) are read from it */
  env?: Record<string, string | undefined>
  /** let answers of a public source lead to a private address or to this machine */
  allowPrivateRedirects?: boolean
  /**
   * hosts that a person configured. A request to another one, without the answer that names it (`namedBy`), may lead no closer to this
   * machine than these are; default: every such request was configured
   */
  configured?: Iterable<string>
  connectTimeoutMs?: number
  stall?: Partial<StallLimits>
  retry?: Partial<RetryPolicy>
  clock?: Clock
  lookup?: LookupFunction
  /** ends every wait and request */
  signal?: AbortSignal
}

export interface SendRequest {
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH'
  headers?: Record<string, string>
  /** a stream is for one request: it is not sent again after a redirect */
  body?: string | Uint8Array | Readable
  /** longest wait for the answer once the body is sent; default: as for every request */
  answerTimeoutMs?: number
  signal?: AbortSignal | undefined
  /** statuses of 400 and above that the caller handles; for others an error is thrown */
  handles?: readonly number[]
  /** of plain HTTP servers; a registry has its own way to log in */
  logins?: WebLogins
  /** URL of the answer that names this one: it must not lead closer to this machine than that one's server is */
  namedBy?: string | undefined
}

/** Names of headers are lower-case; several of one name are joined by a comma. The caller reads or destroys the body. */
export interface SentResponse {
  status: number
  headers: Record<string, string>
  body: Readable
  /** final URL, redacted */
  url: string
  /** scheme, host and port that answered, after redirects */
  origin: string
}

/** Sends single HTTP requests and follows redirects, for the HTTP and registry clients. Holds the connections. */
export class Transport {
  readonly clock: Clock
  readonly progress: Progress
  readonly retry: RetryPolicy
  readonly stall: StallLimits
  readonly signal: AbortSignal | undefined
  readonly #pauses: HostPauses
  readonly #limits: ReachLimits
  /** pools by their limit: a connection that one request may use is not one for all */
  readonly #dispatchers = new Map<string, Dispatchers>()
  readonly #connect: (limit: ReachLimit | undefined) => Dispatchers
  readonly #allowPrivateRedirects: boolean

  constructor(options: TransportOptions = {}) {
    const env = options.env ?? process.env
    this.clock = options.clock ?? systemClock
    this.progress = options.progress ?? silentProgress
    this.retry = { ...defaultRetry, ...options.retry }
    this.stall = { ...defaultStall, ...options.stall }
    this.signal = options.signal
    this.#pauses = new HostPauses(this.clock, this.progress)
    this.#limits = new ReachLimits({
      lookup: options.lookup ?? dnsLookup,
      configured: options.configured,
    })
    this.#allowPrivateRedirects = options.allowPrivateRedirects ?? false
    this.#connect = limit =>
      createDispatchers({
        connections: options.connections ?? 16,
        connectTimeoutMs: options.connectTimeoutMs ?? 15_000,
        stallMs: this.stall.windowMs,
        clients: options.clients,
        caFile: options.caFile ?? (env['AIRGAP_CA_FILE'] || undefined),
        env,
        connector: connect => this.#limits.connector(connect, limit),
      })
    // wrong settings of the environment are reported now, not at the first request
    this.#dispatchersFor(undefined)
  }

  /** Returns the context for `withRetries`, with the caller's signal joined to the client's. */
  retrying(signal?: AbortSignal): RetryContext {
    return { retry: this.retry, clock: this.clock, progress: this.progress, signal: this.#joined(signal) }
  }

  async send(url: string, request: SendRequest = {}): Promise<SentResponse> {
    const signal = this.#joined(request.signal)
    let current = parseUrl(url)
    let headers = withUserinfo(current, { 'accept-encoding': 'identity', ...request.headers })
    const logins = new HopLogins(request.logins ?? noWebLogins, current)
    const visited = new Set<string>()
    let { limit, from } = await this.#firstLimit(current, request.namedBy)
    for (;;) {
      logins.enter(current)
      const login = headers['authorization'] === undefined ? await logins.find(current) : undefined
      const sent = login === undefined ? headers : { ...headers, authorization: basicAuthorization(login) }
      const key = `${current.href} ${sent['authorization'] === undefined ? '' : 'authorized'}`
      if (visited.has(key)) throw redirectError(current, 'the redirects form a loop')
      visited.add(key)
      const signed = logins.signed(current)
      const response = await this.#once(signed, {
        ...request,
        headers: sent,
        signal,
        item: redactUrl(current),
        limit,
        from,
      })
      if (!isRedirect(response.status))
        return await this.#checked(response, { url: current, request, login, isSigned: signed !== current })
      response.body.destroy()
      if (visited.size > maxRedirects)
        throw redirectError(current, `the source redirects more than ${maxRedirects} times`)
      const next = await this.#follow(current, response.headers['location'])
      // neither a form with a refresh token nor content may be sent to another place
      if (request.body !== undefined)
        throw redirectError(
          current,
          typeof request.body === 'string'
            ? 'the token service answered a login with a redirect'
            : 'the registry answered an upload with a redirect',
        )
      headers = headersFor(next, { from: current, headers })
      limit = this.#allowPrivateRedirects ? undefined : await this.#limits.afterAnswer(current)
      from = current
      current = next
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#dispatchers.values()].map(dispatchers => dispatchers.close()))
  }

  #joined(signal: AbortSignal | undefined): AbortSignal | undefined {
    if (signal === undefined || this.signal === undefined) return signal ?? this.signal
    return AbortSignal.any([signal, this.signal])
  }

  #dispatchersFor(limit: ReachLimit | undefined): Dispatchers {
    const key = limitKey(limit)
    let found = this.#dispatchers.get(key)
    if (found === undefined) this.#dispatchers.set(key, (found = this.#connect(limit)))
    return found
  }

  /** How close the first place of a request may be; `from` is the answer that names it. */
  async #firstLimit(
    url: URL,
    namedBy: string | undefined,
  ): Promise<{ limit: ReachLimit | undefined; from: URL | undefined }> {
    const from = namedBy === undefined ? undefined : new URL(namedBy)
    if (this.#allowPrivateRedirects) return { limit: undefined, from }
    const limit =
      from === undefined ? await this.#limits.withoutAnswer(url) : await this.#limits.afterAnswer(from)
    await this.#check(url, { limit, from })
    return { limit, from }
  }

  async #check(
    url: URL,
    { limit, from }: { limit: ReachLimit | undefined; from: URL | undefined },
  ): Promise<void> {
    try {
      if (limit !== undefined) await this.#limits.check(url, limit)
    } catch (error) {
      throw error instanceof RefusedAddress ? tooClose(url, { reach: error.reach, from }) : error
    }
  }

  /** `item` is the address for messages: `url` may have credentials in its query. */
  async #once(
    url: URL,
    request: SendRequest & { item: string; limit: ReachLimit | undefined; from: URL | undefined },
  ): Promise<SentResponse> {
    const { item, limit, from } = request
    await this.#pauses.ready(url.host, request.signal)
    request.signal?.throwIfAborted()
    try {
      const { statusCode, headers, body } = await this.#dispatchersFor(limit)
        .for(url)
        .request({
          origin: url.origin,
          path: `${url.pathname}${url.search}`,
          method: request.method ?? 'GET',
          headers: request.headers ?? {},
          body: request.body ?? null,
          signal: request.signal ?? null,
          highWaterMark: 1 << 20,
          ...defined({ headersTimeout: request.answerTimeoutMs }),
        })
      return { status: statusCode, headers: flat(headers), body: quiet(body), url: item, origin: url.origin }
    } catch (error) {
      request.signal?.throwIfAborted()
      if (error instanceof RefusedAddress) throw tooClose(url, { reach: error.reach, from })
      throw networkError(error, item)
    }
  }

  async #checked(
    response: SentResponse,
    {
      url,
      request,
      login,
      isSigned,
    }: { url: URL; request: SendRequest; login: WebLogin | undefined; isSigned: boolean },
  ): Promise<SentResponse> {
    const { status } = response
    if (status < 400 || request.handles?.includes(status)) return response
    await drained(response.body)
    const item = redactUrl(url)
    if (status === 429 || status === 503) {
      const wait = retryAfterMs(response.headers['retry-after'], this.clock.now())
      if (wait !== undefined) this.#pauses.record(url.host, { ms: wait, status })
    }
    const isRefused = status === 401 || status === 403
    if (isRefused && request.logins !== undefined)
      throw webUnauthorized(status, { item, host: url.hostname, login, isSigned })
    throw statusError(status, item)
  }

  /** Returns the target of a redirect, which must be http(s) and not closer to this machine than its origin. */
  async #follow(from: URL, location: string | undefined): Promise<URL> {
    if (location === undefined || !URL.canParse(location, from.href))
      throw redirectError(from, 'the redirect has no valid target')
    const to = new URL(location, from.href)
    to.hash = ''
    if (to.protocol !== 'http:' && to.protocol !== 'https:') {
      throw redirectError(
        from,
        `the source redirects to ${to.protocol.slice(0, 20)}, which is neither http nor https`,
      )
    }
    await this.assertMayFollow(from, to)
    return to
  }

  /** Throws REDIRECT_REFUSED if a URL that an answer of `from` names is closer to this machine than the server of that answer. */
  async assertMayFollow(from: URL, to: URL): Promise<void> {
    if (!this.#allowPrivateRedirects)
      await this.#check(to, { limit: await this.#limits.afterAnswer(from), from })
  }

  /** Returns the addresses that `to` may be connected at, where `from` names it; undefined where nothing limits that. Throws REDIRECT_REFUSED. */
  async judgedAddresses(from: URL, to: URL): Promise<string[] | undefined> {
    if (this.#allowPrivateRedirects) return undefined
    try {
      return await this.#limits.judgedAddresses(to, await this.#limits.afterAnswer(from))
    } catch (error) {
      throw error instanceof RefusedAddress ? tooClose(to, { reach: error.reach, from }) : error
    }
  }
}

/** `from`: the answer that names the URL; undefined where a lockfile does, or a document that an upstream wrote. */
function tooClose(url: URL, { reach, from }: { reach: Reach; from: URL | undefined }): AirgapError {
  const where = reach === 'private' ? 'a private address' : 'this machine or its link'
  const what =
    from === undefined
      ? `${url.host} is ${where}, and no source of the manifest is as close`
      : `the source leads to ${url.host}, ${where}`
  return new AirgapError('REDIRECT_REFUSED', what, {
    item: redactUrl(from ?? url),
    likely: 'a captive portal, a broken mirror, a name that resolves differently now, or a malicious source',
    next: `if ${url.host} is one of your own servers, list it in the manifest: sources: [{from: "${url.origin}/", to: ["${url.origin}/"]}]; otherwise do not use this source`,
  })
}

function parseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return parsed
  throw new AirgapError('USAGE', 'the URL is neither http nor https', {
    item: redactUrl(url),
    next: 'write it as https://host/path',
  })
}

/** Moves user and password of a URL into a header, which is sent to that host only. */
function withUserinfo(url: URL, headers: Record<string, string>): Record<string, string> {
  if (!url.username && !url.password) return headers
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  url.username = ''
  url.password = ''
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}`, ...headers }
}

/** Removes credentials when the origin changes (RFC 9110 section 15.4; CVE-2018-1000007: curl sent them to the redirect's host). */
function headersFor(to: URL, hop: { from: URL; headers: Record<string, string> }): Record<string, string> {
  to.username = ''
  to.password = ''
  if (to.origin === hop.from.origin) return hop.headers
  const { authorization, cookie, ...rest } = hop.headers
  return rest
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308
}

function redirectError(from: URL, what: string): AirgapError {
  return new AirgapError('REDIRECT_REFUSED', what, {
    item: redactUrl(from),
    likely: 'a captive portal, a broken mirror, or a source that cannot be trusted',
    next: 'inspect the address with `curl -sI`; remap the source to the intended place',
  })
}

/** An unread body that breaks must not end the process. */
function quiet(body: Readable): Readable {
  return body.on('error', () => {})
}

/** Reads a short error page to its end, so that the connection can be reused. */
async function drained(body: Readable): Promise<void> {
  let left = 64 * 1024
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      left -= chunk.length
      if (left < 0) break
    }
  } catch {
    // the status is reported, not the broken page
  }
  body.destroy()
}

function flat(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) result[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return result
}
