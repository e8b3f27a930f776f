import { maxManifestSize } from '../content/read.ts'
import { parseManifest } from '../content/successors.ts'
import { type Digest, digestOf, isDigest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { isIndexType, isManifestType, mediaTypes } from '../core/media-types.ts'
import type { ResolvedManifest } from './contract.ts'

/** The four types there are; schema 1 is not asked for. */
export const manifestAccept = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerList,
  mediaTypes.dockerManifest,
].join(', ')

/**
 * A registry's answer → verified manifest. DIGEST_MISMATCH where the bytes are not what was asked for, or not what the
 * registry's own Docker-Content-Digest says; UNSUPPORTED for schema 1; UPSTREAM_INVALID for what is no manifest or could be
 * read as two things.
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
  // other algorithms cannot be compared; the bytes are still checked by sha256 wherever a digest was asked for
  if (claimed !== undefined && isDigest(claimed) && claimed !== digest) {
    throw mismatch(item, `the registry says the manifest is ${claimed}, but its bytes are ${digest}`)
  }
  const mediaType = resolveMediaType(headers['content-type'], { bytes, item })
  parseManifest(bytes, { mediaType, item })
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes }
}

/** Content-Type where it is one of the four; otherwise the body's `mediaType`; otherwise by shape (umoci writes none). */
function resolveMediaType(
  contentType: string | undefined,
  manifest: { bytes: Buffer; item: string },
): string {
  const { item } = manifest
  const sent = (contentType ?? '').split(';')[0]!.trim().toLowerCase()
  const body = parseObject(manifest.bytes, item)
  const written = typeof body['mediaType'] === 'string' ? body['mediaType'] : undefined
  const isOld = (type: string | undefined) =>
    type === mediaTypes.dockerSchema1 || type === mediaTypes.dockerSchema1Signed
  if (isOld(sent) || isOld(written) || body['schemaVersion'] === 1) throw schema1(item)
  const known = (type: string) => isIndexType(type) || isManifestType(type)
  if (known(sent)) return sent
  if (written !== undefined && known(written)) return written
  if (written !== undefined) {
    throw new AirgapError('UNSUPPORTED', `a manifest of an unknown type: ${written.slice(0, 100)}`, {
      item,
      likely: 'an artifact made by a tool that does not follow the OCI image specification',
      next: 'leave it out, or ask the publisher for an OCI or Docker schema 2 image',
    })
  }
  const isIndex = Array.isArray(body['manifests'])
  const isImage = typeof body['config'] === 'object' && Array.isArray(body['layers'])
  if (isIndex) return mediaTypes.ociIndex
  if (isImage) return mediaTypes.ociManifest
  throw new AirgapError('UPSTREAM_INVALID', 'the answer is no manifest', {
    item,
    likely: `something that is no registry answered (Content-Type ${sent.slice(0, 100) || 'missing'})`,
    next: 'check the registry host; look at its /v2/ with curl',
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
    likely: `something that is no registry answered (${bytes.length} of at most ${maxManifestSize} bytes)`,
    next: 'check the registry host; look at its /v2/ with curl',
  })
}

function schema1(item: string): AirgapError {
  return new AirgapError('UNSUPPORTED', 'the image has a schema 1 manifest', {
    item,
    likely: 'it was pushed by a docker from before 2016; containerd can no longer pull it either',
    next: 'pull and push it again with a current docker or skopeo (skopeo copy --format v2s2), or choose a newer image',
  })
}

function mismatch(item: string, what: string): AirgapError {
  return new AirgapError('DIGEST_MISMATCH', what, {
    item,
    likely: 'the registry or something on the way altered it',
    next: 'do not use it: fetch it from a source you trust, and tell whoever runs this one',
  })
}
