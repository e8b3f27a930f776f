import { maxManifestSize } from '../content/read.ts'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import type { Reference } from '../core/reference.ts'
import { refuseHtml } from './captive-portal.ts'
import type { ResolvedManifest } from './contract.ts'
import { collectBody } from './http-client.ts'
import { checkManifest, manifestAccept } from './manifest-answer.ts'
import { ask, type RegistryContext } from './registry-request.ts'
import { similarTags } from './registry-tags.ts'
import { withRetries } from './retry.ts'
import type { Endpoint } from './source-map.ts'

/** Fetches a manifest by tag or digest. Throws NOT_FOUND_UPSTREAM, with similar tags. */
export async function manifestAt(
  endpoint: Endpoint,
  reference: Reference,
  context: RegistryContext,
): Promise<ResolvedManifest> {
  const found = await findManifest(endpoint, reference, context)
  if (found !== undefined) return found
  throw await notFound(endpoint, { item: nameAt(endpoint, reference), reference, context })
}

/** The same, or undefined where the registry does not have it. */
export async function findManifest(
  endpoint: Endpoint,
  reference: Reference,
  context: RegistryContext,
): Promise<ResolvedManifest | undefined> {
  const item = nameAt(endpoint, reference)
  const { transport } = context
  const answer = await withRetries(async () => {
    const response = await ask(endpoint, `manifests/${wantedOf(reference)}`, {
      context,
      request: { headers: { accept: manifestAccept }, handles: [404] },
    })
    if (response.status === 404) {
      response.body.destroy()
      return undefined
    }
    const body = await refuseHtml(response, { wanted: response.url })
    return {
      headers: response.headers,
      bytes: await collectBody(body, {
        transport,
        item,
        maxBytes: maxManifestSize,
        headers: response.headers,
      }),
    }
  }, transport.retrying())
  if (answer === undefined) return undefined
  return checkManifest(answer, defined({ item, digest: reference.digest }))
}

function wantedOf({ digest, tag }: Reference): string {
  return digest ?? tag ?? 'latest'
}

function nameAt(endpoint: Endpoint, reference: Reference): string {
  return `${endpoint.name}${reference.digest ? '@' : ':'}${wantedOf(reference)}`
}

/** Returns the error for a missing tag, with similar tags, or for a digest that is gone. */
async function notFound(
  endpoint: Endpoint,
  missing: { item: string; reference: Reference; context: RegistryContext },
): Promise<AirgapError> {
  const { reference } = missing
  if (reference.digest !== undefined) {
    return new AirgapError('NOT_FOUND_UPSTREAM', `${endpoint.host} no longer has this digest`, {
      item: missing.item,
      likely: 'the publisher removed it after it was locked, or the mirror lacks it',
      next: 'run `airgap lock` again and review what the tag points to now, or remap the source to a mirror that has it',
    })
  }
  const similar = await similarTags(endpoint, { tag: reference.tag ?? 'latest', context: missing.context })
  const known = similar === undefined || similar.length === 0 ? '' : `; it has ${similar.join(', ')}`
  return new AirgapError('NOT_FOUND_UPSTREAM', `${endpoint.host} does not have this tag`, {
    item: missing.item,
    likely:
      similar === undefined
        ? 'the repository or the tag is misspelled'
        : `the tag is misspelled or was removed${known}`,
    next: 'correct the tag in the manifest or its image list, then run `airgap lock` again',
  })
}
