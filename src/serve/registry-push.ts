import type { FastifyReply } from 'fastify'
import { maxManifestSize } from '../content/read.ts'
import { defined } from '../core/defined.ts'
import { type Digest, isDigest } from '../core/digest.ts'
import { isErrorCode } from '../core/errors.ts'
import { isTag } from '../core/reference.ts'
import {
  answerWithError,
  errorsBody,
  invalidDigest,
  json,
  type RegistryError,
  thrownError,
  unknownName,
} from './registry-errors.ts'
import { isKnownName, unknownManifest } from './registry-pull.ts'
import { nsQuery, type PushedTo, type Registry, type RepositoryRequest } from './registry-request.ts'
import { bodyOf } from './request-body.ts'

/** distribution-spec v1.1, "Pushing manifests"; a push by digest may name tags (`?tag=`). */
export async function putManifest({ context }: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  const { request, reply, name, ns, repository, pushed, reference, query } = asked
  if (pushed === undefined) return answerWithError(reply, deniedName)
  if (reference.includes(':') && !isDigest(reference)) return invalidDigest(reply, reference)
  const digest = isDigest(reference) ? reference : undefined
  const tags = [...(digest === undefined ? [reference] : []), ...query.getAll('tag')]
  const wrong = tags.find(tag => !isTag(tag))
  if (wrong !== undefined) return answerWithError(reply, invalidTag(wrong))
  const held = tags.find(tag => repository?.tags.has(tag))
  if (held !== undefined) return answerWithError(reply, deniedTag(held))
  const bytes = await smallBody(asked)
  if (bytes === undefined) return answerWithError(reply, tooLarge)
  try {
    const { descriptor, subject, missing, wrongSize } = await pushed.overlay.push({
      name: pushed.name,
      bytes,
      tags: [...new Set(tags)],
      inBundle: async one => (await repository?.blob(one)) ?? (await repository?.manifest(one)),
      isServed: content => context.store.exists(content),
      ...defined({ digest, mediaType: request.headers['content-type'] }),
    })
    if (missing.length > 0) return lacking(reply, missing)
    if (wrongSize.length > 0) return answerWithError(reply, otherSize(wrongSize))
    reply.headers({
      location: `/v2/${name}/manifests/${descriptor.digest}${nsQuery(ns)}`,
      'docker-content-digest': descriptor.digest,
      ...defined({ 'oci-subject': subject }),
    })
    if (digest !== undefined && tags.length > 0) reply.header('oci-tag', tags)
    return reply.code(201).send()
  } catch (error) {
    if (isErrorCode(error, 'DIGEST_MISMATCH'))
      return answerWithError(reply, thrownError(error, { status: 400, code: 'DIGEST_INVALID' }))
    throw error
  }
}

/** Reads a body of at most the size that manifests may have; undefined for a larger one. */
async function smallBody({ request }: RepositoryRequest): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > maxManifestSize) return undefined
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of bodyOf(request)) {
    size += chunk.length
    if (size > maxManifestSize) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

function lacking(reply: FastifyReply, missing: readonly Digest[]): FastifyReply {
  const errors = missing.slice(0, 100).map(digest => ({
    code: 'MANIFEST_BLOB_UNKNOWN' as const,
    message: 'the repository does not have a blob or manifest that this manifest refers to',
    detail: { digest, next: 'push it to this repository first' },
  }))
  return reply.code(404).type(json).send(errorsBody(errors))
}

/** distribution-spec v1.1, "Deleting tags" and "Deleting manifests" */
export async function deleteManifest(_registry: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  const { reply, reference, repository } = asked
  const held = isDigest(reference) ? await repository?.manifest(reference) : repository?.tags.get(reference)
  if (held !== undefined) return answerWithError(reply, deniedDeletion(reference))
  if (reference.includes(':') && !isDigest(reference)) return invalidDigest(reply, reference)
  return await deleting(asked, {
    deleted: ({ overlay, name }) =>
      isDigest(reference)
        ? overlay.deleteManifest({ name, digest: reference })
        : overlay.deleteTag({ name, tag: reference }),
    unknown: () => unknownManifest(asked),
  })
}

/** distribution-spec v1.1, "Deleting Blobs" */
export async function deleteBlob(_registry: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  const { reply, name, reference, repository } = asked
  if (!isDigest(reference)) return invalidDigest(reply, reference)
  if ((await repository?.blob(reference)) !== undefined)
    return answerWithError(reply, deniedDeletion(reference))
  return await deleting(asked, {
    deleted: pushed => pushed.overlay.deleteBlob({ name: pushed.name, digest: reference }),
    unknown: () =>
      answerWithError(reply, {
        status: 404,
        code: 'BLOB_UNKNOWN',
        message: 'the repository does not have this blob',
        detail: { name, digest: reference },
      }),
  })
}

async function deleting(
  asked: RepositoryRequest,
  { deleted, unknown }: { deleted: (pushed: PushedTo) => Promise<boolean>; unknown: () => FastifyReply },
): Promise<FastifyReply> {
  const { reply, pushed } = asked
  if (!(await isKnownName(asked))) return unknownName(reply, asked)
  if (pushed === undefined || !(await deleted(pushed))) return unknown()
  return reply.code(202).send()
}

function deniedTag(tag: string): RegistryError {
  return {
    status: 403,
    code: 'DENIED',
    message: 'a bundle holds this tag: it cannot be pushed over',
    detail: { tag, next: 'push under another tag or name' },
  }
}

function deniedDeletion(reference: string): RegistryError {
  return {
    status: 403,
    code: 'DENIED',
    message: 'a bundle holds this content: it cannot be deleted',
    detail: { reference, next: 'remove the bundle from the site instead' },
  }
}

function otherSize([digest = '']: readonly string[]): RegistryError {
  return {
    status: 400,
    code: 'MANIFEST_INVALID',
    message: 'the manifest has another size for its content than that has',
    detail: { digest, next: 'make the manifest again: every pull of it would fail' },
  }
}

const deniedName: RegistryError = {
  status: 403,
  code: 'DENIED',
  message: 'nothing can be pushed under this name',
}

const tooLarge: RegistryError = {
  status: 413,
  code: 'MANIFEST_INVALID',
  message: `the manifest is larger than ${maxManifestSize >> 20} MiB`,
  detail: { next: 'put large content into blobs: a manifest only refers to it' },
}

function invalidTag(tag: string): RegistryError {
  return {
    status: 400,
    code: 'MANIFEST_INVALID',
    message: 'a tag has at most 128 letters, digits and _ . -, and does not start with . or -',
    detail: { tag: tag.slice(0, 300) },
  }
}
