import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import { matchesEtag, matchesIfRange, parseRange } from './range.ts'
import type { ServerContext } from './server.ts'

/** Content to answer with, and how. */
export interface Answer {
  descriptor: Descriptor
  contentType: string
  /** an HTTP date; with it If-Range may name a date */
  lastModified?: string
  headers?: Record<string, string>
}

export interface Exchange {
  request: FastifyRequest
  reply: FastifyReply
}

/** Up to this size content is read whole and kept for a while; larger content is streamed. */
const smallSize = 256 << 10 /* bytes */

/**
 * Answers GET and HEAD with content of the store: conditional requests, one range, ETag = digest (RFC 9110 §13, §14).
 * HEAD reads nothing. Throws NOT_FOUND and RANGE_NOT_SATISFIABLE.
 */
export async function answerWithContent(
  context: ServerContext,
  { request, reply }: Exchange,
  answer: Answer,
): Promise<FastifyReply> {
  const { descriptor } = answer
  const etag = `"${descriptor.digest}"`
  const headers: Record<string, string | number> = {
    ...answer.headers,
    etag,
    'accept-ranges': 'bytes',
    ...(answer.lastModified === undefined ? {} : { 'last-modified': answer.lastModified }),
  }
  const known = request.headers['if-none-match']
  if (known !== undefined && matchesEtag(known, etag)) return reply.code(304).headers(headers).send()
  headers['content-type'] = answer.contentType
  headers['content-length'] = descriptor.size
  if (request.method === 'HEAD') {
    await mustExist(context, descriptor)
    return reply.headers(headers).send()
  }
  const range = wantedRange({ request, reply }, { ...answer, etag })
  if (range !== undefined) {
    headers['content-range'] = `bytes ${range.start}-${range.end - 1}/${descriptor.size}`
    headers['content-length'] = range.end - range.start
  }
  const status = range === undefined ? 200 : 206
  if (descriptor.size <= smallSize) {
    const bytes = await context.small.read(descriptor)
    const part = range === undefined ? bytes : bytes.subarray(range.start, range.end)
    return reply.code(status).headers(headers).send(part)
  }
  await mustExist(context, descriptor)
  // headers set by hooks or by the handler before are part of the answer too
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) headers[name] ??= String(value)
  const failure = await context.blobs.send(reply.raw, descriptor, {
    head: { status, headers },
    ...(range === undefined ? {} : { range }),
    begin: () => reply.hijack(),
  })
  if (failure !== undefined) context.noteError(reply, failure)
  return reply
}

async function mustExist({ store }: ServerContext, descriptor: Descriptor): Promise<void> {
  if (await store.exists(descriptor)) return
  throw new AirgapError('NOT_FOUND', 'this content is not in the bundle', {
    item: descriptor.digest,
    likely: 'the bundle is a delta, and the one it builds on is not served with it',
    next: 'serve the earlier bundle together with this one',
  })
}

function wantedRange(
  { request, reply }: Exchange,
  { descriptor, etag, lastModified }: Answer & { etag: string },
): ByteRange | undefined {
  const header = request.headers.range
  if (header === undefined) return undefined
  const condition = request.headers['if-range']
  const validators = { etag, ...(lastModified === undefined ? {} : { lastModified }) }
  if (typeof condition === 'string' && !matchesIfRange(condition, validators)) return undefined
  const range = parseRange(header, descriptor.size)
  if (range === 'ignored') return undefined
  if (range !== 'unsatisfiable') return range
  reply.header('content-range', `bytes */${descriptor.size}`)
  throw new AirgapError('RANGE_NOT_SATISFIABLE', `no such part: the content has ${descriptor.size} bytes`, {
    item: header.slice(0, 100),
    next: 'ask for a range inside the content',
  })
}
