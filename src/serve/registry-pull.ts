import type { FastifyReply } from 'fastify'
import { maxManifestSize } from '../content/read.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, isDigest } from '../core/digest.ts'
import { isIndexType, mediaTypes } from '../core/media-types.ts'
import { isTag } from '../core/reference.ts'
import { answerWithContent } from './answer.ts'
import { answerWithError, invalidDigest, unknownName } from './registry-errors.ts'
import type { Registry, RepositoryRequest } from './registry-request.ts'
import type { ServedRepository } from './served.ts'

/** distribution-spec v1.1, "Pulling manifests" */
export async function manifest({ context }: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  const { request, reply, reference } = asked
  if (reference.includes(':') && !isDigest(reference)) return invalidDigest(reply, reference)
  const found = await findManifest(asked, reference)
  if (found === undefined) {
    if (!(await isKnownName(asked))) return unknownName(reply, asked)
    return unknownManifest(asked)
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

/** Returns what a tag or digest leads to: in the bundle, else in the overlay. */
async function findManifest(
  { repository, pushed }: RepositoryRequest,
  reference: string,
): Promise<Descriptor | undefined> {
  const found = repository && (await inBundle(repository, reference))
  if (found !== undefined || pushed === undefined) return found
  const { overlay, name } = pushed
  return (await overlay.manifest({ name, reference })) ?? undefined
}

/** No promise for a tag: it is the first request of every pull. */
function inBundle(
  repository: ServedRepository,
  reference: string,
): Descriptor | undefined | Promise<Descriptor | undefined> {
  if (isDigest(reference)) return repository.manifest(reference)
  return isTag(reference) ? repository.tags.get(reference) : undefined
}

export async function isKnownName({ repository, pushed }: RepositoryRequest): Promise<boolean> {
  return repository !== undefined || ((await pushed?.overlay.has({ name: pushed.name })) ?? false)
}

export function unknownManifest({ reply, name, reference }: RepositoryRequest): FastifyReply {
  return answerWithError(reply, {
    status: 404,
    code: 'MANIFEST_UNKNOWN',
    message: 'the repository does not have this manifest',
    detail: {
      name,
      reference: reference.slice(0, 300),
      next: 'check the bundle with `airgap inspect BUNDLE`; add the image to its list, then lock and build again, or push it here',
    },
  })
}

/** distribution-spec v1.1, "Pulling blobs" */
export async function blob({ context }: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  const { request, reply, name, repository, reference } = asked
  if (!isDigest(reference)) return invalidDigest(reply, reference)
  const found =
    (await repository?.blob(reference)) ??
    (await repository?.manifest(reference)) ??
    (await inOverlay(asked, reference))
  if (found === undefined) {
    if (!(await isKnownName(asked))) return unknownName(reply, asked)
    return answerWithError(reply, {
      status: 404,
      code: 'BLOB_UNKNOWN',
      message: 'the repository does not have this blob',
      detail: { name, digest: reference },
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

async function inOverlay({ pushed }: RepositoryRequest, digest: Digest): Promise<Descriptor | undefined> {
  if (pushed === undefined) return undefined
  const { overlay, name } = pushed
  return (
    (await overlay.blob({ name, digest })) ??
    (await overlay.manifest({ name, reference: digest })) ??
    undefined
  )
}

/** distribution-spec v1.1, "Listing Referrers": always an index, empty if nothing refers to the digest; 404 would mean that there is no such API. */
export async function referrers(registry: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  const { reply, reference, query } = asked
  if (!isDigest(reference)) return invalidDigest(reply, reference)
  const artifactType = query.get('artifactType')
  const all = await referrersOf(registry, { asked, subject: reference })
  const found = artifactType === null ? all : all.filter(d => d.artifactType === artifactType)
  if (artifactType !== null) reply.header('oci-filters-applied', 'artifactType')
  const manifests = withinSize(found)
  const index = canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })
  // Fastify would add a charset to the type of a text, and clients compare the type exactly
  return reply.type(mediaTypes.ociIndex).send(Buffer.from(index))
}

async function referrersOf(
  { context }: Registry,
  { asked, subject }: { asked: RepositoryRequest; subject: Digest },
): Promise<Descriptor[]> {
  const { repository, pushed } = asked
  const found = new Map<Digest, Descriptor>()
  const add = (more: readonly Descriptor[]) => {
    for (const one of more) if (!found.has(one.digest)) found.set(one.digest, one)
  }
  add((await repository?.referrers?.(subject)) ?? [])
  if (pushed === undefined) return [...found.values()]
  add(await pushed.overlay.referrers({ name: pushed.name, subject }))
  add(await listedUnderTag(context, { asked, subject }))
  return [...found.values()]
}

/** What a client that knows no referrers API has listed in an index with this tag (distribution-spec v1.1, "Referrers Tag Schema"). */
async function listedUnderTag(
  context: Registry['context'],
  { asked, subject }: { asked: RepositoryRequest; subject: Digest },
): Promise<Descriptor[]> {
  const index = await findManifest(asked, subject.replace(':', '-'))
  if (index === undefined || !isIndexType(index.mediaType)) return []
  const { manifests } = JSON.parse((await context.small.read(index)).toString('utf8')) as {
    manifests?: unknown
  }
  if (!Array.isArray(manifests)) return []
  const listed: Descriptor[] = []
  for (const one of manifests as Descriptor[]) {
    if (typeof one?.digest !== 'string' || !isDigest(one.digest)) continue
    if ((await findManifest(asked, one.digest)) !== undefined) listed.push(one)
  }
  return listed
}

/** Clients refuse an index above 4 MiB: without annotations, even thousands of referrers fit. */
function withinSize(manifests: readonly Descriptor[]): Descriptor[] {
  const whole = [...manifests]
  if (JSON.stringify(whole).length < maxManifestSize - 1_000) return whole
  return whole.map(({ mediaType, digest, size, artifactType }) =>
    defined({ mediaType, digest, size, artifactType }),
  )
}
