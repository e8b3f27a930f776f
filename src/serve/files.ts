import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ReadableStore } from '../content/store.ts'
import { digestOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { answerWithContent, type Exchange } from './answer.ts'
import { contentTypeOf } from './content-type.ts'
import { type FileTable, type Found, fileTable } from './file-table.ts'
import { folderHtml, folderJson } from './folder-page.ts'
import { matchesEtag } from './range.ts'
import type { GeneratedDocument, ServedMount, ServerOptions } from './served.ts'
import { readOnlyServer, type ServerContext } from './server.ts'

/**
 * Content of a bundle has no date. A fixed one lets clients that only know dates (apt) continue a download, and is never
 * taken as a reason for 304: another bundle may have other content under the same path.
 */
const fixedDate = 'Tue, 01 Jan 1980 00:00:00 GMT'

/**
 * The HTTP server of files: trees of the store and documents made on the site. An instance that is ready for `inject` and
 * `listen`. Paths are looked up in a table and never touch a file system.
 */
export function createHttpServer(
  store: ReadableStore,
  mounts: readonly ServedMount[],
  options: ServerOptions = {},
): FastifyInstance {
  const { server, context } = readOnlyServer(store, {
    errorBody: error => ({ contentType: 'text/plain; charset=utf-8', body: errorText(error) }),
    options,
  })
  const files: Files = { context, table: fileTable(store, mounts), etags: new WeakMap() }
  server.route({
    method: ['GET', 'HEAD'],
    url: '*',
    async handler(request, reply) {
      reply.header('x-content-type-options', 'nosniff')
      return answerPath(files, { request, reply })
    },
  })
  return server
}

interface Files {
  context: ServerContext
  table: FileTable
  etags: WeakMap<GeneratedDocument, string>
}

async function answerPath(files: Files, exchange: Exchange): Promise<FastifyReply> {
  const { request, reply } = exchange
  const raw = (request.raw.url ?? '/').replace(/[?#].*$/s, '')
  const path = safePath(raw)
  const asFolder = path.endsWith('/')
  const bare = asFolder ? path.slice(0, -1) : path
  const found = await lookUp(files.table, { path: bare, raw: asFolder ? raw.slice(0, -1) : raw })
  if (found === undefined || (asFolder && found.type !== 'folder')) throw notFound(path)
  if (found.type === 'generated') return generated(files, { ...exchange, document: found.document })
  if (found.type === 'file') {
    return answerWithContent(files.context, exchange, {
      descriptor: found.descriptor,
      contentType: contentTypeOf(path),
      lastModified: fixedDate,
    })
  }
  reply.header('vary', 'accept')
  const wantsJson = /\bapplication\/json\b/.test(request.headers.accept ?? '')
  if (wantsJson) return reply.type('application/json').send(folderJson(bare, found.children))
  // links of the page are relative to the folder
  if (!asFolder)
    return reply
      .code(301)
      .header('location', `${encodePath(bare)}/`)
      .send()
  const index = await files.table.find(`${bare}/index.html`)
  if (index?.type === 'generated') return generated(files, { ...exchange, document: index.document })
  if (index?.type === 'file') {
    return answerWithContent(files.context, exchange, {
      descriptor: index.descriptor,
      contentType: contentTypeOf('index.html'),
      lastModified: fixedDate,
    })
  }
  return reply
    .type('text/html; charset=utf-8')
    .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
    .send(folderHtml(bare, found.children))
}

/** Some clients send the `%3a` of a Debian file name as it stands, others as `%253a`: both mean that file. */
async function lookUp(
  table: FileTable,
  { path, raw }: { path: string; raw: string },
): Promise<Found | undefined> {
  return (await table.find(path === '' ? '/' : path)) ?? (raw === path ? undefined : table.find(raw))
}

/**
 * The path of a request, decoded once. Refused: what a file server would have to resolve (`..`, empty parts), and
 * characters that no served name has. Nothing is normalized: two spellings of a path are two paths.
 */
function safePath(raw: string): string {
  // a malformed escape was refused by the router before
  const path = decodeURIComponent(raw)
  const parts = path.split('/')
  const inner = parts.slice(1, -1)
  const last = parts.at(-1)
  const bad =
    !path.startsWith('/') ||
    /[\u0000-\u001f\u007f\\]/.test(path) ||
    inner.some(part => part === '' || part === '.' || part === '..') ||
    last === '.' ||
    last === '..'
  if (!bad) return path
  throw new AirgapError('USAGE', 'unsafe path', {
    item: JSON.stringify(raw.slice(0, 300)),
    likely: 'the path has "..", an empty part or a control character',
    next: 'ask for the file by its path in the listing',
  })
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

async function generated(
  files: Files,
  { request, reply, document }: Exchange & { document: GeneratedDocument },
): Promise<FastifyReply> {
  let etag = files.etags.get(document)
  if (etag === undefined) {
    etag = `"${digestOf(document.bytes)}"`
    files.etags.set(document, etag)
  }
  const date = document.lastModified?.toUTCString()
  reply.header('etag', etag)
  if (date !== undefined) reply.header('last-modified', date)
  const tags = request.headers['if-none-match']
  const unchanged =
    tags === undefined
      ? date !== undefined && request.headers['if-modified-since'] === date
      : matchesEtag(tags, etag)
  if (unchanged) return reply.code(304).send()
  return reply.type(document.mediaType).send(asBuffer(document.bytes))
}

function notFound(path: string): AirgapError {
  return new AirgapError('NOT_FOUND', 'no such file', {
    item: path.slice(0, 300),
    next: 'look in the listing of a folder above what is there',
  })
}

function errorText(error: AirgapError): string {
  const { item, likely, next } = error
  const lines = [
    error.message,
    item === undefined ? undefined : `  ${item}`,
    likely === undefined ? undefined : `likely: ${likely}`,
    next === undefined ? undefined : `next: ${next}`,
  ]
  return `${lines.filter(line => line !== undefined).join('\n')}\n`
}

/** The same memory: Fastify sends buffers only. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
