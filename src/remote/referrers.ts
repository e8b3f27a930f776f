import { maxManifestSize } from '../content/read.ts'
import { parseManifest, type UnreadableEntry } from '../content/successors.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, hexOf } from '../core/digest.ts'
import { isErrorCode } from '../core/errors.ts'
import { mediaTypes, usualManifestType } from '../core/media-types.ts'
import type { Referrers, ResolvedManifest } from './contract.ts'
import { collectBody } from './http-client.ts'
import { findManifest } from './registry-manifest.ts'
import { ask, nextPage, type RegistryContext } from './registry-request.ts'
import { withRetries } from './retry.ts'
import type { Endpoint } from './source-map.ts'

const maxPages = 10

/** cosign 2, pkg/oci/remote: a signature, attestation or SBOM of an image is under the tag `sha256-HEX.SUFFIX` of its repository. */
const cosignSuffixes = ['sig', 'att', 'sbom']

/** The parts of a list of referrers. */
type Listed = Pick<Referrers, 'listed' | 'unreadable'>

/**
 * Finds what refers to a digest: by the referrers API (distribution-spec, "Listing Referrers"), else by its fallback tag `sha256-HEX`;
 * and by the tags of cosign 2.
 */
export async function referrersAt(
  endpoint: Endpoint,
  digest: Digest,
  context: RegistryContext,
): Promise<Referrers> {
  const fromApi = await referrersByApi(endpoint, digest, context)
  const isEmpty = fromApi === undefined || fromApi.listed.length + fromApi.unreadable.length === 0
  const { listed, unreadable } = isEmpty ? await referrersByTag(endpoint, digest, context) : fromApi
  const found = await Promise.all(
    cosignSuffixes.map(async suffix => {
      const tag = `sha256-${hexOf(digest)}.${suffix}`
      try {
        const manifest = await taggedManifest(endpoint, tag, context)
        return manifest === undefined ? [] : [{ tag, manifest }]
      } catch (error) {
        unreadable.push(unreadableList(tag, error))
        return []
      }
    }),
  )
  const tagged = found.flat()
  return { listed, unreadable, tagged }
}

/** Returns undefined for a registry without the API. */
async function referrersByApi(
  endpoint: Endpoint,
  digest: Digest,
  context: RegistryContext,
): Promise<Listed | undefined> {
  const listed = new Map<Digest, Descriptor>()
  const unreadable: UnreadableEntry[] = []
  const end = () => ({ listed: [...listed.values()], unreadable })
  let path: string | undefined = `referrers/${digest}`
  for (let page = 0; path !== undefined; page++) {
    if (page >= maxPages) {
      unreadable.push({
        name: `more referrers of ${digest}`,
        reason: `there are more than ${maxPages} pages`,
      })
      break
    }
    try {
      const answer = await referrerPage(endpoint, path, context)
      if (answer === undefined) {
        if (page === 0) return undefined
        unreadable.push({ name: `more referrers of ${digest}`, reason: 'the next page is not a list' })
        break
      }
      for (const descriptor of answer.listed) listed.set(descriptor.digest, descriptor)
      unreadable.push(...answer.unreadable)
      path = answer.next
    } catch (error) {
      // some registries deny the API to logins that may pull
      if (page === 0 && isErrorCode(error, 'UNAUTHORIZED')) return undefined
      unreadable.push(unreadableList(`referrers of ${digest}`, error))
      break
    }
  }
  return end()
}

async function referrerPage(
  endpoint: Endpoint,
  path: string,
  context: RegistryContext,
): Promise<(Listed & { next: string | undefined }) | undefined> {
  const { transport } = context
  const item = `${endpoint.name} (referrers)`
  return await withRetries(async () => {
    const response = await ask(endpoint, path, {
      context,
      request: { headers: { accept: mediaTypes.ociIndex }, handles: [400, 404, 405, 501] },
    })
    const type = usualManifestType(response.headers['content-type'] ?? '')
    // a registry without the API answers 404, or sends the start page of its web interface
    if (response.status !== 200 || type !== mediaTypes.ociIndex) {
      response.body.destroy()
      return undefined
    }
    const bytes = await collectBody(response.body, {
      transport,
      item,
      maxBytes: maxManifestSize,
      headers: response.headers,
    })
    const list = listOf(bytes, { mediaType: mediaTypes.ociIndex, item })
    return { ...list, next: nextPage(endpoint, response.headers['link']) }
  }, transport.retrying())
}

async function referrersByTag(endpoint: Endpoint, digest: Digest, context: RegistryContext): Promise<Listed> {
  const tag = `sha256-${hexOf(digest)}`
  try {
    const found = await taggedManifest(endpoint, tag, context)
    if (found === undefined) return { listed: [], unreadable: [] }
    return listOf(found.bytes, { mediaType: found.descriptor.mediaType, item: endpoint.name })
  } catch (error) {
    return { listed: [], unreadable: [unreadableList(tag, error)] }
  }
}

async function taggedManifest(
  endpoint: Endpoint,
  tag: string,
  context: RegistryContext,
): Promise<ResolvedManifest | undefined> {
  const { host, repository } = endpoint
  return await findManifest(endpoint, { host, repository, tag }, context)
}

function listOf(bytes: Buffer, manifest: { mediaType: string; item: string }): Listed {
  const parsed = parseManifest(bytes, manifest)
  if (parsed.type !== 'index') return { listed: [], unreadable: [] }
  return { listed: parsed.manifests, unreadable: parsed.unreadable }
}

/** A list that cannot be read does not fail the image. Wrong digests and outages are errors. */
function unreadableList(name: string, error: unknown): UnreadableEntry {
  if (isErrorCode(error, 'UNAUTHORIZED')) return { name, reason: 'the registry denies access to it' }
  if (isErrorCode(error, 'UPSTREAM_INVALID', 'UNSUPPORTED')) return { name, reason: error.message }
  throw error
}
