import { canonicalJson } from '../core/canonical-json.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, hexOf } from '../core/digest.ts'
import { mediaTypes } from '../core/media-types.ts'
import { findManifest } from './registry-manifest.ts'
import type { RegistryContext } from './registry-request.ts'
import type { RegistryUpload } from './registry-upload.ts'
import type { Endpoint } from './source-map.ts'

/**
 * Adds a manifest to the list of referrers that a registry without the referrers API has under the tag `sha256-HEX` (distribution-spec,
 * "Referrers Tag Schema"). Two clients that do this at the same moment may lose one entry: the specification knows no better.
 */
export async function addToReferrersTag(
  endpoint: Endpoint,
  referrer: Descriptor,
  { subject, context, upload }: { subject: Digest; context: RegistryContext; upload: RegistryUpload },
): Promise<void> {
  const tag = `sha256-${hexOf(subject)}`
  const { host, repository } = endpoint
  const found = await findManifest(endpoint, { host, repository, tag }, context)
  const manifests = found === undefined ? [] : entriesOf(found.bytes)
  if (manifests.some(entry => entry.digest === referrer.digest)) return
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [...manifests, referrer] }
  await upload.manifest(tag, { mediaType: mediaTypes.ociIndex, bytes: Buffer.from(canonicalJson(index)) })
}

/** The entries as they are written: those of other tools stay as they are. */
function entriesOf(index: Buffer): { digest?: unknown }[] {
  const { manifests } = JSON.parse(index.toString('utf8')) as { manifests?: unknown }
  return Array.isArray(manifests)
    ? manifests.filter(entry => typeof entry === 'object' && entry !== null)
    : []
}
