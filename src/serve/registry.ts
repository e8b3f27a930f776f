import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ReadableStore } from '../content/store.ts'
import { isRepository } from '../core/reference.ts'
import type { Exchange } from './answer.ts'
import { isTokenUrl, registryNeeds } from './permission.ts'
import { answerWithError, json, methodNotAllowed, thrownErrorBody } from './registry-errors.ts'
import { catalog, sortedLists, tags } from './registry-lists.ts'
import { blob, manifest, referrers } from './registry-pull.ts'
import { deleteBlob, deleteManifest, putManifest } from './registry-push.ts'
import type { Endpoint, Registry } from './registry-request.ts'
import { beginUpload, cancelUpload, finishUpload, uploadState, writeUpload } from './registry-uploads.ts'
import { discardRest } from './request-body.ts'
import type { ServedImages, ServedOverlay, ServerOptions } from './served.ts'
import { contentServer } from './server.ts'
import { decodePath, parseTarget } from './target.ts'
import { answerTokens } from './token-endpoint.ts'

/** Methods that change something: a registry without an overlay refuses them before it reads a body. */
const changes = ['POST', 'PUT', 'PATCH', 'DELETE']

/**
 * Creates a registry with all endpoints of the OCI distribution specification v1.1, and `_catalog`, ready for `inject` and `listen`. Manifests
 * are sent as stored. Errors are JSON of the specification. Pushes go to `options.overlay`; without one, the registry is read-only.
 */
export function createRegistryServer(
  store: ReadableStore,
  images: ServedImages,
  options: ServerOptions = {},
): FastifyInstance {
  const { overlay } = options
  const { server, context } = contentServer(store, {
    errorBody: error => ({ contentType: json, body: thrownErrorBody(error) }),
    options,
    needs: registryNeeds,
    takes: (method, url) =>
      (overlay !== undefined && changes.includes(method)) ||
      (options.permission?.tokens !== undefined && method === 'POST' && isTokenUrl(url)),
  })
  if (options.permission?.tokens !== undefined) answerTokens(server, options.permission.tokens)
  const sorted = sortedLists(images)
  // the body reaches the handler as it came: no parser looks into it
  server.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  server.route({
    method: ['GET', 'HEAD', ...changes],
    url: '*',
    async handler(request, reply) {
      reply.header('docker-distribution-api-version', 'registry/2.0')
      if (request.body === undefined)
        return route({ context, images, sorted }, { exchange: { request, reply }, overlay })
      try {
        return await route({ context, images, sorted }, { exchange: { request, reply }, overlay })
      } finally {
        discardRest(request)
      }
    },
  })
  return server
}

async function route(
  registry: Registry,
  { exchange, overlay }: { exchange: Exchange; overlay: ServedOverlay | undefined },
): Promise<FastifyReply> {
  const { request, reply } = exchange
  const { path: encoded, query } = parseTarget(request.raw.url ?? '/')
  const path = decodePath(encoded)
  if (request.method === 'GET' || request.method === 'HEAD') {
    if (path === '/v2/' || path === '/v2') return reply.type(json).send('{}')
    if (path === '/v2/_catalog') return catalog(registry, { exchange, query, overlay })
  }
  const asked = split(path)
  if (asked === undefined) {
    return answerWithError(reply, {
      status: 404,
      code: 'UNSUPPORTED',
      message: 'the distribution specification has no such endpoint',
      detail: { path: path.slice(0, 300) },
    })
  }
  const { name, methods, reference } = asked
  const endpoint = methods[request.method]
  if (endpoint === undefined) return methodNotAllowed(reply, Object.keys(methods))
  if (!isRepository(name)) {
    return answerWithError(reply, {
      status: 400,
      code: 'NAME_INVALID',
      message: 'a repository name has at most 255 lower-case letters and digits, separated by single . _ - /',
      detail: { name: name.slice(0, 300) },
    })
  }
  const ns = query.get('ns') ?? undefined
  const { images } = registry
  const repository = images.find(name, ns)
  const canonical = images.canonical === undefined ? name : images.canonical(name, ns)
  const pushed = overlay === undefined || canonical === undefined ? undefined : { overlay, name: canonical }
  return endpoint(registry, { ...exchange, name, ns, repository, pushed, reference, query })
}

type Methods = Readonly<Record<string, Endpoint>>

const endpoints = new Map<string, Methods>([
  ['manifests', { GET: manifest, HEAD: manifest, PUT: putManifest, DELETE: deleteManifest }],
  ['blobs', { GET: blob, HEAD: blob, DELETE: deleteBlob }],
  ['referrers', { GET: referrers, HEAD: referrers }],
])
const tagList: Methods = { GET: tags, HEAD: tags }
const uploads: Methods = { POST: beginUpload }
const upload: Methods = { GET: uploadState, PATCH: writeUpload, PUT: finishUpload, DELETE: cancelUpload }

/** Splits from the end, as the name of a repository may be `a/blobs/b`. */
function split(path: string): { name: string; methods: Methods; reference: string } | undefined {
  const parts = path.split('/')
  const [empty, v2] = parts
  if (empty !== '' || v2 !== 'v2') return undefined
  const found = (taken: number, methods: Methods | undefined, reference: string) => {
    const name = parts.slice(2, -taken).join('/')
    return methods === undefined || name === '' ? undefined : { name, methods, reference }
  }
  const [reference = '', kind = '', before = ''] = parts.toReversed()
  // `blobs/uploads` and `blobs/uploads/`
  if (reference === '') return kind === 'uploads' && before === 'blobs' ? found(3, uploads, '') : undefined
  if (kind === 'blobs' && reference === 'uploads') return found(2, uploads, '')
  if (kind === 'uploads' && before === 'blobs') return found(3, upload, reference)
  if (kind === 'tags' && reference === 'list') return found(2, tagList, reference)
  return found(2, endpoints.get(kind), reference)
}
