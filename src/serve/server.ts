import type { Socket } from 'node:net'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { ReadableStore } from '../content/store.ts'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { accessLog } from './access-log.ts'
import { answerChallenges } from './challenge.ts'
import { localVerdicts } from './local-verdicts.ts'
import { answerMonitoring, monitoringPaths } from './monitoring.ts'
import { callerOf, isFree, type NeedsOf, type WriteEntry, writeEntry } from './permission.ts'
import type { ServerOptions } from './served.ts'
import { type SmallCache, smallCache } from './small-cache.ts'
import { type BlobSender, blobSender } from './stream.ts'

/** Shared by the handlers of a server. */
export interface ServerContext {
  store: ReadableStore
  small: SmallCache
  blobs: BlobSender
  /** Records an error that aborted an answer in progress. */
  noteError(reply: FastifyReply, error: unknown): void
  /** Counts bytes of a body that is not content of the store, for the access log. */
  countSent(reply: FastifyReply, bytes: number): void
}

/** Formats an error: the registry and the file server use different bodies. */
export type ErrorBody = (error: AirgapError) => { contentType: string; body: string }

/** RFC 9112, 3.2: a proxy in front of the server could take another of them. */
function hostsOf(rawHeaders: readonly string[]): number {
  return rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length
}

function twoHosts(): AirgapError {
  return new AirgapError('USAGE', 'the request has more than one Host header', {
    item: 'Host',
    likely: 'the client or a proxy before it is broken, or hostile',
    next: 'send one Host header',
  })
}

/** Longest head of a request, URL included; a longer one gets 431. */
const maxHeaderSize = 16 << 10 /* bytes */

/**
 * Creates a Fastify instance: every method but GET and HEAD gets 405, unless `takes` accepts it; every error
 * becomes `errorBody`, and the options limit how long and how large anything from a client is kept.
 */
export function contentServer(
  store: ReadableStore,
  {
    errorBody,
    options,
    needs,
    takes = () => false,
  }: {
    errorBody: ErrorBody
    options: ServerOptions
    /** what a request needs, where `options.permission` decides on it */
    needs: NeedsOf
    takes?: (method: string, url: string) => boolean
  },
): { server: FastifyInstance; context: ServerContext } {
  const local = options.verdicts === undefined ? localVerdicts(store) : undefined
  const verdicts = options.verdicts ?? local!
  const { verify = 'once' } = options
  const blobs = blobSender(store, { verdicts, verify, ...defined({ bufferBytes: options.bufferBytes }) })
  const counted = new WeakMap<FastifyReply['raw'], number>()
  const access = accessLog(options.log ?? (() => {}), {
    sent: response => blobs.sent(response) ?? counted.get(response),
  })
  const context: ServerContext = {
    store,
    blobs,
    small: smallCache(store, {
      limit: options.cacheBytes ?? 32 << 20,
      verdicts,
    }),
    noteError: (reply, error) => access.noteError(reply.raw, error),
    countSent: ({ raw }, bytes) => void counted.set(raw, (counted.get(raw) ?? 0) + bytes),
  }

  function refuse(reply: FastifyReply, thrown: unknown): FastifyReply {
    const error = asAirgapError(thrown)
    const status = error.httpStatus
    if (status >= 500) access.noteError(reply.raw, thrown)
    const { contentType, body } = errorBody(error)
    return reply.code(status).header('content-type', contentType).send(body)
  }

  const server = fastify({
    logger: false,
    exposeHeadRoutes: false,
    keepAliveTimeout: options.keepAliveTimeoutMs ?? 65_000,
    // inactivity of the socket: a client that reads a byte now and then is slow, one that reads nothing is gone
    connectionTimeout: options.stallTimeoutMs ?? 300_000,
    // an upload takes as long as it takes; whether it still moves is a matter of the socket
    requestTimeout: options.overlay === undefined ? Math.max(60_000, options.headersTimeoutMs ?? 0) : 0,
    forceCloseConnections: 'idle',
    http: {
      maxHeaderSize,
      headersTimeout: options.headersTimeoutMs ?? 15_000,
      connectionsCheckingInterval: Math.min(5_000, (options.headersTimeoutMs ?? 15_000) / 2),
      // two lengths, or a length with chunks, are request smuggling (CVE-2020-8287)
      insecureHTTPParser: false,
      requireHostHeader: true,
    },
    routerOptions: { maxParamLength: maxHeaderSize },
    frameworkErrors: (error, request, reply) => {
      access.follow(request.raw, reply.raw)
      refuse(reply as FastifyReply, error)
    },
    clientErrorHandler(error: Error & { code?: string }, socket: Socket) {
      if (error.code === 'ECONNRESET' || socket.destroyed) return
      const status = clientErrorStatus(error.code)
      access.refused(status, { remoteAddress: socket.remoteAddress ?? '', error: error.message })
      // an import of node:http would also load the built-in fetch, which delays the start of the servers by 40 ms
      const { STATUS_CODES } = process.getBuiltinModule('node:http')
      const line = `HTTP/1.1 ${status} ${STATUS_CODES[status]}`
      if (socket.writable) socket.write(`${line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
      socket.destroySoon()
    },
  })
  if (local !== undefined) server.addHook('onClose', () => local.close())
  server.server.maxConnections = options.maxConnections ?? 10_000
  // bodies are never read, so that no parser is exposed to them
  server.removeAllContentTypeParsers()
  server.addHook('onRequest', async (request, reply) => {
    access.follow(request.raw, reply.raw)
    if (hostsOf(request.raw.rawHeaders) > 1) {
      reply.header('connection', 'close')
      return refuse(reply, twoHosts())
    }
    if (request.method === 'GET' || request.method === 'HEAD') return
    if (takes(request.method, request.raw.url ?? '/')) return
    reply.header('allow', 'GET, HEAD')
    // the rest of a body is not read
    if (hasBody(request.headers)) reply.header('connection', 'close')
    return refuse(
      reply,
      new AirgapError('METHOD_NOT_ALLOWED', 'the server is read-only', {
        item: request.method,
        likely: 'the request is a push, but the site serves only what is in the bundle',
        next: 'add the content to a bundle, or push it to another registry',
      }),
    )
  })
  const { permission } = options
  const open = openPaths(options)
  if (permission !== undefined)
    server.addHook('onRequest', async (request, reply) => {
      if (isFree(request, permission)) return
      const { method, raw } = request
      if (method === 'GET' && open.has(raw.url?.split('?', 1)[0] ?? '')) return
      const needed = needs({ method, url: raw.url ?? '/' })
      if (needed === undefined) return
      // a POST may read, too: git's upload-pack
      const reads = needed.action === 'pull' && needed.special === undefined
      if (reads && permission.readsFreely() && request.headers.authorization === undefined) return
      const decision = await permission.check(needed, callerOf(request))
      const { user } = decision
      if (user !== undefined && options.audit !== undefined)
        noteWrite(request, reply, { user, note: options.audit })
      if (!('refusal' in decision)) return
      reply.headers(decision.headers)
      // the rest of a body is not read
      if (hasBody(request.headers)) reply.header('connection', 'close')
      return refuse(reply, decision.refusal)
    })
  server.setErrorHandler((error, _request, reply) => refuse(reply, error))
  server.setNotFoundHandler((request, reply) =>
    refuse(
      reply,
      new AirgapError('NOT_FOUND', 'the server has nothing at this path', {
        item: request.url.slice(0, 300),
      }),
    ),
  )
  if (options.challenge !== undefined) answerChallenges(server, options.challenge)
  if (options.monitoring !== undefined) answerMonitoring(server, options.monitoring)
  return { server, context }
}

/** Notes a write once it is answered. */
function noteWrite(
  request: FastifyRequest,
  reply: FastifyReply,
  { user, note }: { user: string; note: (entry: WriteEntry) => void },
): void {
  const { raw } = reply
  raw.once('close', () => {
    const status = raw.headersSent ? raw.statusCode : 0
    // of the framework's reply: node:http does not keep what is passed to writeHead
    const digest = reply.getHeader('docker-content-digest')
    const entry = writeEntry(request, { user, status, digest })
    if (entry !== undefined) note(entry)
  })
}

/** What machines request before they can log in: who this server is, whether it answers, and which CA to trust. */
function openPaths({ challenge, monitoring, openPaths = [] }: ServerOptions): ReadonlySet<string> {
  const { health, readiness } = monitoringPaths
  return new Set([
    ...openPaths,
    ...(challenge === undefined ? [] : [challenge.path]),
    ...(monitoring === undefined ? [] : [health, readiness]),
  ])
}

function hasBody(headers: Record<string, unknown>): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

function clientErrorStatus(code: string | undefined): number {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408
  return code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
}

/** What the framework refuses (a malformed URL) is an error of the client; the rest is a bug. */
function asAirgapError(error: unknown): AirgapError {
  if (error instanceof AirgapError) return error
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  if (status >= 400 && status < 500) {
    return new AirgapError('USAGE', 'the request is malformed', {
      likely: 'the URL has an invalid percent encoding',
      next: 'encode the URL as UTF-8 with %XX',
      cause: error,
    })
  }
  return new AirgapError('INTERNAL', 'the server failed', { cause: error })
}
