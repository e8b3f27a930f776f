import type { FastifyReply, FastifyRequest } from 'fastify'
import { defined } from '../core/defined.ts'
import type { ByteRange, Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import { isSameDate, matchesEtag, matchesIfRange, parseRange } from './range.ts'
import type { ServerContext } from './server.ts'

/** How content is described to the client. */
export interface Representation {
  contentType: string
  etag: string
  size: number /* bytes */
  /** an HTTP date that changes whenever the content does: If-Range and If-Modified-Since may use it */
  lastModified?: string
  headers?: Record<string, string>
}

export interface Exchange {
  request: FastifyRequest
  reply: FastifyReply
}

/** Content up to this size is read whole and cached; larger content is streamed. */
const smallSize = 32 << 10 /* bytes */
/** Every node requests manifests: they are cached up to the size that the distribution specification allows. */
const smallManifestSize = 4 << 20 /* bytes */

/**
 * Answers GET and HEAD with content of the store; the ETag is its digest. HEAD reads nothing. Throws NOT_FOUND,
 * RANGE_NOT_SATISFIABLE.
 */
export async function answerWithContent(
  context: ServerContext,
  { request, reply }: Exchange,
  answer: { descriptor: Descriptor; contentType: string; headers?: Record<string, string>; often?: boolean },
): Promise<FastifyReply> {
  const { descriptor, often, ...rest } = answer
  const representation = { ...rest, etag: `"${descriptor.digest}"`, size: descriptor.size }
  const head = headOf({ request, reply }, representation)
  const { range } = head
  if (head.status === 304) return reply.code(304).headers(head.headers).send()
  if (request.method === 'HEAD') {
    await mustExist(context, descriptor)
    return reply.headers(head.headers).send()
  }
  if (descriptor.size <= (often ? smallManifestSize : smallSize)) {
    const bytes = await context.small.read(descriptor)
    const part = range === undefined ? bytes : bytes.subarray(range.start, range.end)
    return reply.code(head.status).headers(head.headers).send(part)
  }
  await mustExist(context, descriptor)
  // headers that hooks or the handler have set are part of the answer, too
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) head.headers[name] ??= String(value)
  const failure = await context.blobs.send(reply.raw, descriptor, {
    head,
    ...defined({ range }),
    begin: () => reply.hijack(),
  })
  if (failure !== undefined) context.noteError(reply, failure)
  return reply
}

/** Answers GET and HEAD with bytes in memory. Throws RANGE_NOT_SATISFIABLE. */
export function answerWithBytes(
  { request, reply }: Exchange,
  bytes: Uint8Array,
  representation: Omit<Representation, 'size'>,
): FastifyReply {
  const { status, headers, range } = headOf({ request, reply }, { ...representation, size: bytes.length })
  reply.code(status).headers(headers)
  if (status === 304 || request.method === 'HEAD') return reply.send()
  return reply.send(range === undefined ? bytes : bytes.subarray(range.start, range.end))
}

interface Head {
  status: 200 | 206 | 304
  headers: Record<string, string | number>
  range?: ByteRange
}

/** Returns status and headers: conditional requests and one range (RFC 9110 §13 and §14). */
function headOf({ request, reply }: Exchange, representation: Representation): Head {
  const { etag, lastModified, size, contentType } = representation
  const headers: Record<string, string | number> = {
    ...defined({ 'last-modified': lastModified }),
    ...representation.headers,
    etag,
    'accept-ranges': 'bytes',
  }
  if (isKnown(request, { etag, lastModified })) return { status: 304, headers }
  headers['content-type'] = contentType
  headers['content-length'] = size
  // RFC 9110 §14.2: Range applies to GET only
  const range = request.method === 'GET' ? wantedRange({ request, reply }, representation) : undefined
  if (range === undefined) return { status: 200, headers }
  headers['content-range'] = `bytes ${range.start}-${range.end - 1}/${size}`
  headers['content-length'] = range.end - range.start
  return { status: 206, headers, range }
}

/** RFC 9110 §13.2.2: If-None-Match takes precedence over If-Modified-Since. */
function isKnown(
  { headers }: FastifyRequest,
  { etag, lastModified }: { etag: string; lastModified: string | undefined },
): boolean {
  const tags = headers['if-none-match']
  if (tags !== undefined) return matchesEtag(tags, etag)
  const since = headers['if-modified-since']
  return since !== undefined && lastModified !== undefined && isSameDate(since, lastModified)
}

function wantedRange(
  { request, reply }: Exchange,
  { etag, lastModified, size }: Representation,
): ByteRange | undefined {
  const header = request.headers.range
  if (header === undefined) return undefined
  const condition = request.headers['if-range']
  const validators = defined({ etag, lastModified })
  if (typeof condition === 'string' && !matchesIfRange(condition, validators)) return undefined
  const range = parseRange(header, size)
  if (range === 'ignored') return undefined
  if (range !== 'unsatisfiable') return range
  reply.header('content-range', `bytes */${size}`)
  throw new AirgapError('RANGE_NOT_SATISFIABLE', `the range is not in the ${size} bytes of the content`, {
    item: header.slice(0, 100),
    next: 'request a range inside the content',
  })
}

async function mustExist({ store }: ServerContext, descriptor: Descriptor): Promise<void> {
  if (await store.exists(descriptor)) return
  throw new AirgapError('NOT_FOUND', 'the bundle does not have this content', {
    item: descriptor.digest,
    likely: 'the bundle is a delta, and its base bundle is not served',
    next: 'serve its base bundle together with it',
  })
}
