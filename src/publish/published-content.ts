import type { DownloadSink } from '../content/sink.ts'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import type { BlobOpener } from '../remote/contract.ts'
import { download } from '../remote/download.ts'
import { MemorySink } from '../remote/memory-sink.ts'
import { openedBody, rangeHeaders } from '../remote/range.ts'
import { findManifest } from '../remote/registry-manifest.ts'
import { ask } from '../remote/registry-request.ts'
import type { RegistryPlace } from './registry-place.ts'

/** Fetches a manifest by the name of the place, or by a digest in its repository. Throws NOT_FOUND_UPSTREAM, DIGEST_MISMATCH. */
export async function fetchManifest(
  place: RegistryPlace,
  wanted: { digest?: Digest } = {},
): Promise<{ bytes: Buffer; mediaType: string; digest: Digest; item: string }> {
  const { reference, endpoint, context, name } = place
  const { host, repository } = reference
  const item = wanted.digest === undefined ? name : `${host}/${repository}@${wanted.digest}`
  const asked = wanted.digest === undefined ? reference : { host, repository, digest: wanted.digest }
  const found = await findManifest(endpoint, asked, context).catch(error => {
    throw whilePulling(error, item)
  })
  if (found !== undefined) {
    const { mediaType, digest } = found.descriptor
    return { bytes: found.bytes, mediaType, digest, item }
  }
  throw wanted.digest === undefined ? noBundle(item) : incomplete(item)
}

/** Fetches a small blob, verified. Throws NOT_FOUND_UPSTREAM, DIGEST_MISMATCH, SIZE_MISMATCH, UNSUPPORTED above maxBytes. */
export async function fetchSmall(
  place: RegistryPlace,
  { descriptor, maxBytes }: { descriptor: Descriptor; maxBytes: number },
): Promise<Buffer> {
  const sink = new MemorySink(descriptor, maxBytes)
  await fetchBlob(place, sink)
  return sink.bytes()
}

/** Fills the sink from the registry, and continues in the middle of it. Throws NOT_FOUND_UPSTREAM, DIGEST_MISMATCH, SIZE_MISMATCH, NETWORK. */
export async function fetchBlob(
  place: RegistryPlace,
  sink: DownloadSink,
  signal?: AbortSignal,
): Promise<void> {
  const { transport } = place.context
  const { digest } = sink.descriptor
  try {
    await download({
      openers: [blobOpener(place, digest)],
      sink,
      progress: transport.progress,
      retry: transport.retry,
      stall: transport.stall,
      clock: transport.clock,
      signal: signal ?? transport.signal,
    })
  } catch (error) {
    throw whilePulling(error, `${place.endpoint.name}@${digest}`)
  }
}

function blobOpener({ endpoint, context }: RegistryPlace, digest: Digest): BlobOpener {
  return {
    name: endpoint.name,
    async open(at, signal) {
      const response = await ask(endpoint, `blobs/${digest}`, {
        context,
        request: { headers: rangeHeaders(at), signal, handles: [404, 416] },
      })
      if (response.status !== 404) return openedBody(response, at)
      response.body.destroy()
      throw incomplete(`${endpoint.name}@${digest}`)
    },
  }
}

function noBundle(item: string): AirgapError {
  return new AirgapError('NOT_FOUND_UPSTREAM', 'the registry does not have this name', {
    item,
    likely: 'the name or the version is misspelled, or the bundle was not pushed yet',
    next: 'compare it with what `airgap push --as-bundle` printed; `curl https://REGISTRY/v2/NAME/tags/list` lists the versions',
  })
}

function incomplete(item: string): AirgapError {
  return new AirgapError('NOT_FOUND_UPSTREAM', 'the registry lacks content of the bundle', {
    item,
    likely: 'the mirror has not copied everything yet, or content was deleted in the registry',
    next: 'run the same command again once the mirror is complete; or push the bundle again: that adds what is missing',
  })
}

/** Gives errors of the clients the advice that helps here: there is no lockfile, and the content is that of one registry. */
function whilePulling(error: unknown, item: string): unknown {
  if (!(error instanceof AirgapError)) return error
  const { code, lines, item: at, likely } = error
  if (isErrorCode(error, 'DIGEST_MISMATCH', 'SIZE_MISMATCH'))
    return new AirgapError(code, lines, {
      item,
      likely: 'the storage of the registry is damaged, or something on the connection changed the content',
      next: 'do not use it; delete this version in the registry, and push the bundle again from a copy that `airgap verify` finds good',
      cause: error,
    })
  if (isErrorCode(error, 'NETWORK'))
    return new AirgapError(code, lines, {
      ...defined({ item: at, likely }),
      next: 'run the same command again: it continues where it stopped',
      cause: error,
    })
  return error
}
