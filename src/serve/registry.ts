import type { FastifyInstance, FastifyReply } from 'fastify'
import { maxManifestSize } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { digestOf, isDigest } from '../core/digest.ts'
import { mediaTypes } from '../core/media-types.ts'
import { isRepository, isTag } from '../core/reference.ts'
import { answerWithBytes, answerWithContent, type Exchange } from './answer.ts'
import { compareNames, pageOf } from './pages-of-names.ts'
import { answerWithError, thrownErrorBody } from './registry-errors.ts'
import type { ServedImages, ServedRepository, ServerOptions } from './served.ts'
import { readOnlyServer, type ServerContext } from './server.ts'
import { decodePath, parseTarget } from './target.ts'

const json = 'application/json; charset=utf-8'

/**
 * Creates a registry with the pull side of the OCI distribution specification v1.1, referrers and `_catalog`, ready for `inject` and
 * `listen`. Manifests are sent as stored. Errors are JSON of the specification.
 */
export function createRegistryServer(
  store: ReadableStore,
  images: ServedImages,
  options: ServerOptions = {},
): FastifyInstance {
  const { server, context } = readOnlyServer(store, {
    errorBody: error => ({ contentType: json, body: thrownErrorBody(error) }),
    options,
  })
  const sorted = sortedLists(images)
  server.route({
    method: ['GET', 'HEAD'],
    url: '*',
    async handler(request, reply) {
      reply.header('docker-distribution-api-version', 'registry/2.0')
      return route({ context, images, sorted }, { request, reply })
    },
  })
  return server
}

interface Registry {
  context: ServerContext
  images: ServedImages
  /** names in the order of listings, each list sorted once: thousands of names would keep the other clients waiting */
  sorted: { names(): readonly string[]; tags(of: ServedRepository['tags']): readonly string[] }
}

/** One request inside a repository. */
interface RepositoryRequest extends Exchange {
  name: string
  repository: ServedRepository
  /** tag, digest, or `list` */
  reference: string
  query: URLSearchParams
}

async function route(registry: Registry, exchange: Exchange): Promise<FastifyReply> {
  const { request, reply } = exchange
  const { path: encoded, query } = parseTarget(request.raw.url ?? '/')
  const path = decodePath(encoded)
  if (path === '/v2/' || path === '/v2') return reply.type(json).send('{}')
  if (path === '/v2/_catalog') return catalog(registry, { exchange, query })
  const asked = split(path)
  if (asked === undefined) {
    return answerWithError(reply, {
      status: 404,
      code: 'UNSUPPORTED',
      message: 'the distribution specification has no such endpoint',
      detail: { path: path.slice(0, 300) },
    })
  }
  const { name, endpoint, reference } = asked
  if (!isRepository(name)) {
    return answerWithError(reply, {
      status: 400,
      code: 'NAME_INVALID',
      message: 'a repository name has at most 255 lower-case letters and digits, separated by single . _ - /',
      detail: { name: name.slice(0, 300) },
    })
  }
  const ns = query.get('ns') ?? undefined
  const repository = registry.images.find(name, ns)
  if (repository === undefined) return unknownName(reply, { name, ns })
  return endpoint(registry, { ...exchange, name, repository, reference, query })
}

function sortedLists(images: ServedImages): Registry['sorted'] {
  let names: readonly string[] | undefined
  const tags = new WeakMap<ServedRepository['tags'], readonly string[]>()
  return {
    names() {
      names ??= [...images.names()].sort(compareNames)
      return names
    },
    tags(of) {
      const sorted = tags.get(of) ?? [...of.keys()].sort(compareNames)
      tags.set(of, sorted)
      return sorted
    },
  }
}

type Endpoint = (registry: Registry, asked: RepositoryRequest) => Promise<FastifyReply>

const endpoints = new Map<string, Endpoint>([
  ['manifests', manifest],
  ['blobs', blob],
  ['referrers', referrers],
])

/** Splits from the end, as the name of a repository may be `a/blobs/b`. */
function split(path: string): { name: string; endpoint: Endpoint; reference: string } | undefined {
  const parts = path.split('/')
  const reference = parts.pop() ?? ''
  const kind = parts.pop() ?? ''
  const [empty, v2, ...name] = parts
  if (empty !== '' || v2 !== 'v2' || name.length === 0 || reference === '') return undefined
  const endpoint = kind === 'tags' && reference === 'list' ? tags : endpoints.get(kind)
  return endpoint === undefined ? undefined : { name: name.join('/'), endpoint, reference }
}

/** distribution-spec v1.1, "Pulling manifests" */
async function manifest({ context }: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  const { request, reply, repository, reference } = asked
  if (reference.includes(':') && !isDigest(reference)) return invalidDigest(reply, reference)
  const found = isDigest(reference)
    ? await repository.manifest(reference)
    : isTag(reference)
      ? repository.tags.get(reference)
      : undefined
  if (found === undefined) {
    return answerWithError(reply, {
      status: 404,
      code: 'MANIFEST_UNKNOWN',
      message: 'the repository does not have this manifest',
      detail: {
        name: asked.name,
        reference: reference.slice(0, 300),
        next: 'check the bundle with `airgap inspect BUNDLE`; add the image to its list, then lock and build again',
      },
    })
  }
  return answerWithContent(
    context,
    { request, reply },
    {
      descriptor: found,
      contentType: found.mediaType,
      often: true,
      headers: { 'docker-content-digest': found.digest },
    },
  )
}

/** distribution-spec v1.1, "Pulling blobs" */
async function blob({ context }: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  const { request, reply, repository, reference } = asked
  if (!isDigest(reference)) return invalidDigest(reply, reference)
  const found = (await repository.blob(reference)) ?? (await repository.manifest(reference))
  if (found === undefined) {
    return answerWithError(reply, {
      status: 404,
      code: 'BLOB_UNKNOWN',
      message: 'the repository does not have this blob',
      detail: { name: asked.name, digest: reference },
    })
  }
  return answerWithContent(
    context,
    { request, reply },
    {
      descriptor: found,
      contentType: mediaTypes.octets,
      headers: { 'docker-content-digest': found.digest },
    },
  )
}

/** distribution-spec v1.1, "Listing Tags" */
async function tags({ sorted }: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  const { name, repository, query } = asked
  return listing(asked, {
    sorted: sorted.tags(repository.tags),
    query,
    path: `/v2/${name}/tags/list`,
    body: names => ({ name, tags: names }),
  })
}

/** `_catalog` of the reference registry: not in the specification, but used by people and tools. */
async function catalog(
  { sorted }: Registry,
  { exchange, query }: { exchange: Exchange; query: URLSearchParams },
): Promise<FastifyReply> {
  return listing(exchange, {
    sorted: sorted.names(),
    query,
    path: '/v2/_catalog',
    body: names => ({ repositories: names }),
  })
}

/** One page. The specification lets a registry send fewer names than were requested, with a link to the next ones. */
const maxNames = 1_000

function listing(
  exchange: Exchange,
  {
    sorted,
    query,
    path,
    body,
  }: { sorted: readonly string[]; query: URLSearchParams; path: string; body: (names: string[]) => object },
): FastifyReply {
  const { reply } = exchange
  const n = query.get('n')
  if (n !== null && !/^\d{1,9}$/.test(n)) {
    return answerWithError(reply, {
      status: 400,
      code: 'PAGINATION_NUMBER_INVALID',
      message: 'n must be a number: the most entries to list',
      detail: { n: n.slice(0, 100) },
    })
  }
  const last = query.get('last')
  const size = Math.min(n === null ? maxNames : Number(n), maxNames)
  const page = pageOf(sorted, defined({ n: size, last: last ?? undefined }))
  if (page.next !== undefined) {
    const next = new URLSearchParams({ n: String(size), last: page.next })
    const ns = query.get('ns')
    if (ns !== null) next.set('ns', ns)
    reply.header('link', `<${path}?${next}>; rel="next"`)
  }
  const bytes = Buffer.from(JSON.stringify(body(page.names)))
  return answerWithBytes(exchange, bytes, { contentType: json, etag: `"${digestOf(bytes)}"` })
}

/** distribution-spec v1.1, "Listing Referrers": always an index, empty if nothing refers to the digest. */
async function referrers(_registry: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  const { reply, repository, reference, query } = asked
  if (!isDigest(reference)) return invalidDigest(reply, reference)
  const artifactType = query.get('artifactType')
  const all: readonly Descriptor[] = (await repository.referrers?.(reference)) ?? []
  const found = artifactType === null ? all : all.filter(d => d.artifactType === artifactType)
  if (artifactType !== null) reply.header('oci-filters-applied', 'artifactType')
  const manifests = withinSize(found)
  const index = canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })
  // Fastify would add a charset to the type of a text, and clients compare the type exactly
  return reply.type(mediaTypes.ociIndex).send(Buffer.from(index))
}

/** Clients refuse an index above 4 MiB: without annotations, even thousands of referrers fit. */
function withinSize(manifests: readonly Descriptor[]): Descriptor[] {
  const whole = [...manifests]
  if (JSON.stringify(whole).length < maxManifestSize - 1_000) return whole
  return whole.map(({ mediaType, digest, size, artifactType }) =>
    defined({ mediaType, digest, size, artifactType }),
  )
}

function unknownName(
  reply: FastifyReply,
  { name, ns }: { name: string; ns: string | undefined },
): FastifyReply {
  return answerWithError(reply, {
    status: 404,
    code: 'NAME_UNKNOWN',
    message: 'the bundle does not have this repository',
    detail: defined({
      name,
      ns: ns?.slice(0, 300),
      next: 'check the names in /v2/_catalog; add the image to its list, then lock and build again',
    }),
  })
}

function invalidDigest(reply: FastifyReply, reference: string): FastifyReply {
  return answerWithError(reply, {
    status: 400,
    code: 'DIGEST_INVALID',
    message: 'a digest is sha256: and 64 lower-case hex digits',
    detail: { digest: reference.slice(0, 300) },
  })
}
