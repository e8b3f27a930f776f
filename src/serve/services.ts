import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AirgapError } from '../core/errors.ts'
import { answerWithBytes, type Exchange } from './answer.ts'
import type { ServedMount, Service, ServiceAnswer } from './served.ts'
import type { ServerContext } from './server.ts'
import { decodePath, parseTarget } from './target.ts'

/** Requests of services are lists of names and commits. */
const maxBody = 8 << 20 /* bytes, before and after they are unpacked */
/** of all requests together: clients could otherwise fill the memory with bodies that they never complete (CWE-770) */
const maxBodies = 128 << 20 /* bytes */

/** The services of all mounts, by path. */
export interface ServiceTable {
  /** whether a POST to this URL is answered at all */
  takesPost(url: string): boolean
  /** Answers a GET where a service does; false where it is a matter of files. */
  answer(context: ServerContext, exchange: Exchange, path: string): Promise<boolean>
  /** Adds the route of POST requests. */
  routePosts(server: FastifyInstance, context: ServerContext): void
}

export function serviceTable(mounts: readonly ServedMount[]): ServiceTable {
  const services = new Map<string, Service>(
    mounts.flatMap(({ prefix, services: own }) =>
      [...(own ?? [])].map(
        ([path, service]) => [`${prefix === '/' ? '' : prefix}/${path}`, service] as const,
      ),
    ),
  )
  const bodies = { held: 0 }
  return {
    takesPost(url) {
      try {
        return services.has(decodePath(parseTarget(url).path))
      } catch {
        // a path that no server answers is reported as what it is: no place to post to
        return false
      }
    },
    async answer(context, { request, reply }, path) {
      const found = await services
        .get(path)
        ?.answer({ method: 'GET', ...partsOf(request), body: Buffer.alloc(0) })
      if (found === undefined) return false
      send(context, { request, reply }, found)
      return true
    },
    routePosts(server, context) {
      // the body reaches the handler as it came: no parser looks into it
      server.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
      server.route({
        method: 'POST',
        url: '*',
        async handler(request, reply) {
          const path = decodePath(parseTarget(request.raw.url ?? '/').path)
          const found = await withBody(bodies, { request, reply }, async body =>
            services.get(path)?.answer({ method: 'POST', ...partsOf(request), body }),
          )
          if (found === undefined)
            throw new AirgapError('METHOD_NOT_ALLOWED', 'this path takes no POST', {
              item: path.slice(0, 300),
            })
          return send(context, { request, reply }, found)
        },
      })
    },
  }
}

function partsOf({ raw, headers }: FastifyRequest): {
  query: URLSearchParams
  headers: Record<string, string | undefined>
} {
  const texts = Object.entries(headers).map(([name, value]) => [name, value?.toString()] as const)
  return { query: parseTarget(raw.url ?? '/').query, headers: Object.fromEntries(texts) }
}

/** Reads the whole body, and counts it among all bodies as long as the request is answered. */
async function withBody<T>(
  bodies: { held: number },
  exchange: Exchange,
  answer: (body: Buffer) => Promise<T>,
): Promise<T> {
  let own = 0
  const hold = (bytes: number) => {
    own += bytes
    bodies.held += bytes
    if (bodies.held <= maxBodies) return
    exchange.reply.header('connection', 'close')
    throw new AirgapError('BUSY', 'the server has too many requests of this kind to answer', {
      next: 'try again in a minute',
    })
  }
  try {
    return await answer(await bodyOf(exchange, hold))
  } finally {
    bodies.held -= own
  }
}

/** The whole body; git compresses larger ones. Throws USAGE where it is too large or cannot be unpacked. */
async function bodyOf(
  { request: { headers, body }, reply }: Exchange,
  hold: (bytes: number) => void,
): Promise<Buffer> {
  if (!(body instanceof Readable)) return Buffer.alloc(0)
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBody) {
      // what is left of a body is not waited for
      reply.header('connection', 'close')
      throw unreadable('the body of the request is too large')
    }
    hold(chunk.length)
    chunks.push(chunk)
  }
  const bytes = Buffer.concat(chunks, size)
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding === 'identity') return bytes
  if (encoding !== 'gzip' && encoding !== 'x-gzip')
    throw unreadable('the body of the request has an unknown encoding')
  try {
    // a few kilobytes can be gigabytes when they are unpacked
    return await promisify(gunzip)(bytes, { maxOutputLength: maxBody })
  } catch (error) {
    throw unreadable('the body of the request cannot be unpacked', error)
  }
}

function unreadable(what: string, cause?: unknown): AirgapError {
  return new AirgapError('USAGE', what, {
    likely: 'a client that does not speak the protocol of this path',
    next: 'use the program that the path is for',
    cause,
  })
}

function send(
  context: ServerContext,
  exchange: Exchange,
  { mediaType, body, etag, headers }: ServiceAnswer,
): FastifyReply {
  const { request, reply } = exchange
  reply.headers({ ...headers, 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' })
  if (body instanceof Uint8Array && etag !== undefined)
    return answerWithBytes(exchange, body, { contentType: mediaType, etag })
  reply.type(mediaType)
  if (body instanceof Uint8Array) return reply.send(body)
  if (request.method === 'HEAD') return reply.send()
  return reply.send(Readable.from(followed(context, reply, body), { objectMode: false }))
}

/** Counts what is sent, and reports what breaks it: the framework only closes the connection. */
async function* followed(
  context: ServerContext,
  reply: FastifyReply,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) {
      context.countSent(reply, chunk.length)
      yield chunk
    }
  } catch (error) {
    context.noteError(reply, error)
    throw error
  }
}
