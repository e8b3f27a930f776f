import type { FastifyReply } from 'fastify'
import { defined } from '../core/defined.ts'
import { digestOf } from '../core/digest.ts'
import { answerWithBytes, type Exchange } from './answer.ts'
import { compareNames, pageOf } from './pages-of-names.ts'
import { answerWithError, json, unknownName } from './registry-errors.ts'
import { isKnownName } from './registry-pull.ts'
import type { Registry, RepositoryRequest } from './registry-request.ts'
import type { ServedImages, ServedOverlay, ServedRepository } from './served.ts'

export function sortedLists(images: ServedImages): Registry['sorted'] {
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

/** distribution-spec v1.1, "Listing Tags" */
export async function tags({ sorted }: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  const { reply, name, repository, pushed, query } = asked
  if (!(await isKnownName(asked))) return unknownName(reply, asked)
  const own = repository === undefined ? [] : sorted.tags(repository.tags)
  return listing(asked, {
    sorted: merged(own, (await pushed?.overlay.tags({ name: pushed.name })) ?? []),
    query,
    path: `/v2/${name}/tags/list`,
    body: names => ({ name, tags: names }),
  })
}

/** `_catalog` of the reference registry: not in the specification, but used by people and tools. Each image is in it once. */
export async function catalog(
  { sorted }: Registry,
  {
    exchange,
    query,
    overlay,
  }: { exchange: Exchange; query: URLSearchParams; overlay: ServedOverlay | undefined },
): Promise<FastifyReply> {
  return listing(exchange, {
    sorted: merged(sorted.names(), (await overlay?.names()) ?? []),
    query,
    path: '/v2/_catalog',
    body: names => ({ repositories: names }),
  })
}

function merged(sorted: readonly string[], more: readonly string[]): readonly string[] {
  return more.length === 0 ? sorted : [...new Set([...sorted, ...more])].sort(compareNames)
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
