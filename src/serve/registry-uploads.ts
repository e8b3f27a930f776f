import type { FastifyReply } from 'fastify'
import { defined } from '../core/defined.ts'
import { type Digest, isDigest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { answerWithError, invalidDigest, type RegistryError, thrownError } from './registry-errors.ts'
import { nsQuery, type PushedTo, type Registry, type RepositoryRequest } from './registry-request.ts'
import { bodyOf } from './request-body.ts'

/** Smaller chunks are taken, too; they only cost more requests. */
const chunkMinLength = 64 << 10 /* bytes */

/** distribution-spec v1.1, "Pushing blobs": opens an upload, takes a whole blob (`?digest=`), or mounts one (`?mount=`). */
export async function beginUpload(registry: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  return await answering(asked, async pushed => {
    const { reply, query } = asked
    const mount = query.get('mount')
    if (mount !== null) {
      if (!isDigest(mount)) return invalidDigest(reply, mount)
      if (await mounted(registry, { asked, pushed, digest: mount })) return created(asked, mount)
    }
    const digest = query.get('digest')
    if (digest !== null && mount === null) {
      if (!isDigest(digest)) return invalidDigest(reply, digest)
      const { id } = await pushed.overlay.beginUpload({ name: pushed.name, whole: true })
      return await finish(asked, { pushed, id, digest, isNew: true })
    }
    const { id } = await pushed.overlay.beginUpload({ name: pushed.name })
    reply.header('oci-chunk-min-length', String(chunkMinLength))
    return accepted(asked, { id, size: 0 })
  })
}

/** Links a blob of another repository, of a bundle or of the overlay, to this one. */
async function mounted(
  { context, images }: Registry,
  { asked, pushed, digest }: { asked: RepositoryRequest; pushed: PushedTo; digest: Digest },
): Promise<boolean> {
  const { overlay, name } = pushed
  // it is there already
  if ((await asked.repository?.blob(digest)) !== undefined) return true
  const from = asked.query.get('from') ?? undefined
  if (from !== undefined) {
    const blob = await images.find(from, asked.ns)?.blob(digest)
    if (blob !== undefined) {
      await overlay.linkBundleBlob({ name, blob })
      return true
    }
  }
  const source = from === undefined ? undefined : (images.canonical?.(from, asked.ns) ?? from)
  const blob = await overlay.mount({ name, digest, ...defined({ from: source }) })
  // it may have been content of a bundle that is gone: the client has to upload it
  return blob !== null && (await context.store.exists(blob))
}

/** distribution-spec v1.1, "Pushing a blob in chunks": how far an upload is. */
export async function uploadState(_registry: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  return await answering(asked, async ({ overlay, name }) => {
    const { size } = await overlay.upload({ name, id: asked.reference })
    describe(asked, { id: asked.reference, size })
    return asked.reply.code(204).send()
  })
}

/** distribution-spec v1.1, "Pushing a blob in chunks": a chunk with its range, or a body of unknown length without one. */
export async function writeUpload(_registry: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  return await answering(asked, async ({ overlay, name }) => {
    const id = asked.reference
    const { size } = await overlay.write(
      { name, id, ...startOf(asked), ...lengthOf(asked) },
      bodyOf(asked.request),
    )
    return accepted(asked, { id, size })
  })
}

/** distribution-spec v1.1, "Pushing blobs": the end of an upload, perhaps with the last or the only chunk. */
export async function finishUpload(_registry: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  return await answering(asked, async pushed => {
    const digest = asked.query.get('digest') ?? ''
    if (!isDigest(digest)) return invalidDigest(asked.reply, digest)
    return await finish(asked, { pushed, id: asked.reference, digest, isNew: false })
  })
}

export async function cancelUpload(_registry: Registry, asked: RepositoryRequest): Promise<FastifyReply> {
  return await answering(asked, async ({ overlay, name }) => {
    await overlay.cancel({ name, id: asked.reference })
    return asked.reply.code(204).send()
  })
}

async function finish(
  asked: RepositoryRequest,
  { pushed, id, digest, isNew }: { pushed: PushedTo; id: string; digest: Digest; isNew: boolean },
): Promise<FastifyReply> {
  const { overlay, name } = pushed
  try {
    await overlay.finish({ name, id, digest, ...startOf(asked), ...lengthOf(asked) }, bodyOf(asked.request))
  } catch (error) {
    // the client does not know its name, and cannot continue it
    if (isNew) await overlay.cancel({ name, id }).catch(() => {})
    throw error
  }
  return created(asked, digest)
}

function created({ reply, name, ns }: RepositoryRequest, digest: Digest): FastifyReply {
  return reply
    .code(201)
    .headers({ location: `/v2/${name}/blobs/${digest}${nsQuery(ns)}`, 'docker-content-digest': digest })
    .send()
}

function accepted(asked: RepositoryRequest, state: { id: string; size: number }): FastifyReply {
  describe(asked, state)
  return asked.reply.code(202).send()
}

/** `Location` is relative: whichever name or proxy the client came by, it goes on there. */
function describe({ reply, name, ns }: RepositoryRequest, { id, size }: { id: string; size: number }): void {
  reply.headers({
    location: `/v2/${name}/blobs/uploads/${id}${nsQuery(ns)}`,
    range: `0-${Math.max(0, size - 1)}`,
    'docker-upload-uuid': id,
  })
}

/** Returns the offset that the client names. Throws USAGE for a malformed Content-Range, or one that does not fit the length of the body. */
function startOf({ request }: RepositoryRequest): { from?: number } {
  const header = request.headers['content-range']
  if (header === undefined) return {}
  const [, first = '', last = ''] =
    /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/.exec(header) ?? []
  const [start, end] = [Number(first), Number(last)]
  const length = request.headers['content-length']
  const fits = first !== '' && end >= start && (length === undefined || Number(length) === end - start + 1)
  if (fits) return { from: start }
  throw new AirgapError('RANGE_NOT_SATISFIABLE', 'the Content-Range does not describe the body', {
    item: header.slice(0, 100),
    likely: `the body has ${length ?? 'an unknown number of'} bytes`,
    next: 'send FIRST-LAST, both offsets in the blob',
  })
}

/** A body that is too large for the quota is refused before it is sent. */
function lengthOf({ request }: RepositoryRequest): { length?: number } {
  const length = Number(request.headers['content-length'])
  return Number.isSafeInteger(length) ? { length } : {}
}

/** Answers errors of uploads as the specification has them. */
async function answering(
  asked: RepositoryRequest,
  answer: (pushed: PushedTo) => Promise<FastifyReply>,
): Promise<FastifyReply> {
  const { reply, pushed } = asked
  if (pushed === undefined) return answerWithError(reply, noPlace)
  try {
    return await answer(pushed)
  } catch (error) {
    if (!(error instanceof AirgapError)) throw error
    const refusal = uploadError(error)
    if (refusal === undefined) throw error
    // where the client is told to continue
    if (refusal.status === 416) await describeState(asked, pushed).catch(() => {})
    return answerWithError(reply, refusal)
  }
}

async function describeState(asked: RepositoryRequest, { overlay, name }: PushedTo): Promise<void> {
  const id = asked.reference
  describe(asked, { id, ...(await overlay.upload({ name, id })) })
}

const noPlace: RegistryError = {
  status: 403,
  code: 'DENIED',
  message: 'nothing can be pushed under this name',
}

function uploadError(error: AirgapError): RegistryError | undefined {
  switch (error.code) {
    case 'NOT_FOUND':
      return thrownError(error, { status: 404, code: 'BLOB_UPLOAD_UNKNOWN' })
    case 'BUSY':
      return thrownError(error, { status: 409, code: 'BLOB_UPLOAD_INVALID' })
    case 'RANGE_NOT_SATISFIABLE':
      return thrownError(error, { status: 416, code: 'BLOB_UPLOAD_INVALID' })
    case 'DIGEST_MISMATCH':
      return thrownError(error, { status: 400, code: 'DIGEST_INVALID' })
    default:
      return undefined
  }
}
