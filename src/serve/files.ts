import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ReadableStore } from '../content/store.ts'
import { defined } from '../core/defined.ts'
import { digestOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { encodePath } from '../core/safe-path.ts'
import { answerWithBytes, answerWithContent, type Exchange } from './answer.ts'
import { contentTypeOf } from './content-type.ts'
import { type FileTable, type Found, fileTable } from './file-table.ts'
import { type Listings, listings } from './listing.ts'
import { isProbe } from './monitoring.ts'
import { preferred } from './negotiate.ts'
import type { GeneratedDocument, ServedMount, ServerOptions } from './served.ts'
import { contentServer, type ServerContext } from './server.ts'
import { serviceTable } from './services.ts'
import { decodePath, parseTarget } from './target.ts'

/**
 * Content of a bundle has no time of its own. Clients that need a date get this one; as it is the same for all content, it is never used
 * as a validator.
 */
const contentDate = new Date(0).toUTCString()

/** A bundle may contain foreign HTML, which must not run scripts in the origin of the site's own pages (stored XSS, CWE-79). */
const inert = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; sandbox",
}

/**
 * Creates the HTTP server of the site, ready for `inject` and `listen`: files of the mounts, and listings of their folders in pages (HTML;
 * JSON with `Accept: application/json`). Errors are text.
 */
export function createHttpServer(
  store: ReadableStore,
  mounts: readonly ServedMount[],
  options: ServerOptions = {},
): FastifyInstance {
  const services = serviceTable(mounts)
  const { server, context } = contentServer(store, {
    errorBody: textError,
    options,
    // a POST here asks for content, too: git's upload-pack
    needs: ({ url }) => (isProbe(url) ? undefined : { action: 'pull' }),
    takes: (method, url) => method === 'POST' && services.takesPost(url),
  })
  const table = fileTable(store, mounts)
  const etags = new WeakMap<GeneratedDocument, string>()
  const folders = listings()
  server.route({
    method: ['GET', 'HEAD'],
    url: '*',
    async handler(request, reply) {
      const { path: encoded, query } = parseTarget(request.raw.url ?? '/')
      const path = decodePath(encoded)
      if (await services.answer(context, { request, reply }, path)) return reply
      const found = await lookUp(table, path)
      return answer({ context, etags, folders }, { exchange: { request, reply }, path, query, found })
    },
  })
  services.routePosts(server, context)
  return server
}

/** Debian writes the colon of an epoch as `%3a` in file names, and not all clients encode the percent sign. */
async function lookUp(table: FileTable, path: string): Promise<Found> {
  const folder = path.length > 1 && path.endsWith('/')
  const plain = folder ? path.slice(0, -1) : path
  const found = (await table.find(plain)) ?? (await table.findEscaped(plain))
  if (found !== undefined && (!folder || found.type === 'folder' || found.type === 'page')) return found
  throw new AirgapError('NOT_FOUND', 'the site does not have this file', {
    item: path.slice(0, 300),
    likely: 'it is not in the bundle, or the name is misspelled',
    next: 'check the listing of its folder',
  })
}

interface FileServer {
  context: ServerContext
  etags: WeakMap<GeneratedDocument, string>
  folders: Listings
}

async function answer(
  { context, etags, folders }: FileServer,
  {
    exchange,
    path,
    query,
    found,
  }: { exchange: Exchange; path: string; query: URLSearchParams; found: Found },
): Promise<FastifyReply> {
  const { reply } = exchange
  if (found.type === 'file') {
    return answerWithContent(context, exchange, {
      descriptor: found.descriptor,
      contentType: contentTypeOf(path),
      headers: { ...inert, 'last-modified': contentDate },
    })
  }
  const document = (generated: GeneratedDocument, headers: Record<string, string> = {}) => {
    const { bytes, mediaType, lastModified } = generated
    const etag = etags.get(generated) ?? `"${digestOf(bytes)}"`
    etags.set(generated, etag)
    return answerWithBytes(exchange, bytes, {
      contentType: mediaType,
      etag,
      headers: { 'x-content-type-options': 'nosniff', ...headers },
      ...defined({ lastModified: lastModified?.toUTCString() }),
    })
  }
  if (found.type === 'generated') return document(found.document)
  // links of a page are relative to its folder
  if (!path.endsWith('/')) return reply.redirect(`${encodePath(path)}/`, 301)
  const accept = exchange.request.headers.accept ?? ''
  if (found.type === 'page') return document(preferred(found.forms, accept), { ...inert, vary: 'accept' })
  const { mediaType } = preferred([{ mediaType: 'text/html' }, { mediaType: 'application/json' }], accept)
  const isJson = mediaType === 'application/json'
  const listing = folders.page(
    { path, children: found.children },
    { form: isJson ? 'json' : 'html', page: query.get('page') },
  )
  return answerWithBytes(exchange, listing.bytes, {
    contentType: isJson ? 'application/json' : 'text/html; charset=utf-8',
    etag: listing.etag,
    headers: {
      ...inert,
      vary: 'accept',
      ...defined({ link: listing.next === undefined ? undefined : `<${listing.next}>; rel="next"` }),
    },
  })
}

function textError(error: AirgapError): { contentType: string; body: string } {
  const { message, item, likely, next } = error
  const first = item === undefined ? message : `${message}: ${item}`
  const rest = [likely && `likely: ${likely}`, next && `next: ${next}`].filter(Boolean)
  return { contentType: 'text/plain; charset=utf-8', body: `${[first, ...rest].join('\n')}\n` }
}
