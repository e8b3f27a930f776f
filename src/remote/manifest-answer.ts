import { maxManifestSize } from '../content/read.ts'
import { parseManifest } from '../content/successors.ts'
import { type Digest, digestOf, isDigest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { isIndexType, isManifestType, mediaTypes, usualManifestType } from '../core/media-types.ts'
import type { ResolvedManifest } from './contract.ts'

/** The four supported types; schema 1 is not requested. */
export const manifestAccept = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerList,
  mediaTypes.dockerManifest,
].join(', ')

/**
 * Verifies a registry's answer and returns the manifest. Throws DIGEST_MISMATCH if the bytes do not have the requested digest or that of
 * the registry's own Docker-Content-Digest, UNSUPPORTED for schema 1, UPSTREAM_INVALID for what is not a manifest or is ambiguous.
 */
export function checkManifest(
  answer: { headers: Record<string, string>; bytes: Buffer },
  wanted: { item: string; digest?: Digest },
): ResolvedManifest {
  const { headers, bytes } = answer
  const { item } = wanted
  const digest = digestOf(bytes)
  const claimed = headers['docker-content-digest']
  if (wanted.digest !== undefined && digest !== wanted.digest) {
    throw mismatch(item, `the manifest has digest ${digest}, not ${wanted.digest}`)
  }
  // other algorithms cannot be compared; a requested digest is checked in any case
  if (claimed !== undefined && isDigest(claimed) && claimed !== digest) {
    throw mismatch(item, `the registry says the manifest is ${claimed}, but its bytes are ${digest}`)
  }
  const mediaType = resolveMediaType(headers['content-type'], { bytes, item })
  parseManifest(bytes, { mediaType, item })
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes }
}

/** Returns the Content-Type if it is one of the four, else the body's `mediaType`, else the type by shape (umoci writes none). */
function resolveMediaType(
  contentType: string | undefined,
  manifest: { bytes: Buffer; item: string },
): string {
  const { item } = manifest
  const sent = (contentType ?? '').split(';')[0]!.trim().toLowerCase()
  const body = parseObject(manifest.bytes, item)
  const inBody = body['mediaType']
  // Go programs write "" for what they do not know
  const written = typeof inBody === 'string' && inBody !== '' ? usualManifestType(inBody) : undefined
  const isOld = (type: string | undefined) =>
    type === mediaTypes.dockerSchema1 || type === mediaTypes.dockerSchema1Signed
  if (isOld(sent) || isOld(written) || body['schemaVersion'] === 1) throw schema1(item)
  const known = (type: string) => isIndexType(type) || isManifestType(type)
  if (known(sent)) return sent
  if (written !== undefined && known(written)) return written
  if (written !== undefined) {
    throw new AirgapError('UNSUPPORTED', `the manifest has an unknown type: ${written.slice(0, 100)}`, {
      item,
      likely: 'the artifact was made by a tool that does not follow the OCI image specification',
      next: 'remove it from the manifest, or ask the publisher for an OCI or Docker schema 2 image',
    })
  }
  const isImage = typeof body['config'] === 'object' && body['config'] !== null
  const isIndex = Array.isArray(body['manifests']) || (!isImage && body['manifests'] === null)
  if (isIndex) return mediaTypes.ociIndex
  if (isImage) return mediaTypes.ociManifest
  throw new AirgapError('UPSTREAM_INVALID', 'the answer is not a manifest', {
    item,
    likely: `a server that is not a registry answered (Content-Type ${sent.slice(0, 100) || 'missing'})`,
    next: 'check the host of the registry: `curl -v https://HOST/v2/` should answer 200 or 401',
  })
}

function parseObject(bytes: Buffer, item: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    value = undefined
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw new AirgapError('UPSTREAM_INVALID', 'the manifest is not JSON', {
    item,
    likely: `a server that is not a registry answered (${bytes.length} of at most ${maxManifestSize} bytes)`,
    next: 'check the host of the registry: `curl -v https://HOST/v2/` should answer 200 or 401',
  })
}

function schema1(item: string): AirgapError {
  return new AirgapError('UNSUPPORTED', 'the image has a schema 1 manifest', {
    item,
    likely: 'it was pushed by docker before 2016; containerd can no longer pull it either',
    next: 'pull and push it again with a current docker or skopeo (skopeo copy --format v2s2), or choose a newer image',
  })
}

function mismatch(item: string, what: string): AirgapError {
  return new AirgapError('DIGEST_MISMATCH', what, {
    item,
    likely: 'the registry or something on the connection altered it',
    next: 'do not use it; fetch it from a source that you trust, and report it to the operator of this one',
  })
}
