import { maxManifestSize } from '../content/read.ts'
import { type ParsedManifest, parseManifest } from '../content/successors.ts'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, hexOf, isDigest } from '../core/digest.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { mediaTypes } from '../core/media-types.ts'
import type { Progress } from '../core/progress.ts'
import { isTag, type Reference, splitRepository } from '../core/reference.ts'
import { createRegistryAuth, parseTrustedRealms, type RegistryAuth, unauthorized } from './auth.ts'
import { refuseHtml } from './captive-portal.ts'
import type { BlobOpener, RegistryClient, ResolvedManifest } from './contract.ts'
import { type CredentialStore, dockerCredentials } from './docker-config.ts'
import { download } from './download.ts'
import { collectBody, type TransportingHttpClient } from './http-client.ts'
import { checkManifest, manifestAccept } from './manifest-answer.ts'
import { MemorySink } from './memory-sink.ts'
import { firstOf } from './mirrors.ts'
import { openedBody, rangeHeaders } from './range.ts'
import { withRetries } from './retry.ts'
import { type Endpoint, registryEndpoints, type SourceMap } from './source-map.ts'
import type { SendRequest, SentResponse, Transport } from './transport.ts'

export interface RegistryOptions {
  http: TransportingHttpClient
  sources?: SourceMap
  progress?: Progress
  /** default: docker's config.json */
  credentials?: CredentialStore
  /** DOCKER_CONFIG, HOME, PATH (credential helpers), AIRGAP_TRUSTED_REALMS; default: process.env */
  env?: Record<string, string | undefined>
  /** registry host → hosts of token services on other sites that may receive its password; default: from the environment */
  trustedRealms?: Record<string, readonly string[]>
}

/** Largest blob that is read into memory (image configs). */
const maxMemoryBlob = 16 * 1024 * 1024 /* bytes */
const maxReferrerPages = 10
const maxTagList = 8 << 20 /* bytes, of one page */
const maxTagPages = 100

/** Creates a client for the pull side of the OCI distribution specification v1.1, over mirrors. */
export function createRegistryClient(options: RegistryOptions): RegistryClient {
  const { transport } = options.http
  const sources = options.sources ?? []
  const progress = options.progress ?? transport.progress
  const env = options.env ?? process.env
  const credentials = options.credentials ?? dockerCredentials({ progress, env })
  const trustedRealms = options.trustedRealms ?? parseTrustedRealms(env['AIRGAP_TRUSTED_REALMS'])
  const auth = createRegistryAuth({ transport, credentials, trustedRealms })
  const context: Context = { transport, auth }
  const openers = (name: string, digest: Digest, as: 'manifest' | 'blob') =>
    registryEndpoints(sources, splitRepository(name)).map(endpoint =>
      blobOpener(endpoint, { digest, as, context }),
    )
  return {
    openers,
    manifest: reference =>
      firstOf(
        registryEndpoints(sources, reference),
        endpoint => manifestAt(endpoint, reference, context),
        transport,
      ),
    tags: name => firstOf(registryEndpoints(sources, name), endpoint => tagsAt(endpoint, context), transport),
    async blob(reference, descriptor, { maxBytes } = { maxBytes: maxMemoryBlob }) {
      const sink = new MemorySink(descriptor, maxBytes)
      const places = openers(`${reference.host}/${reference.repository}`, descriptor.digest, 'blob')
      await download({
        openers: places,
        sink,
        progress,
        retry: transport.retry,
        stall: transport.stall,
        clock: transport.clock,
        signal: transport.signal,
      })
      return sink.bytes()
    },
    referrers: (reference, digest) =>
      firstOf(
        registryEndpoints(sources, reference),
        endpoint => referrersAt(endpoint, digest, context),
        transport,
      ),
  }
}

interface Context {
  transport: Transport
  auth: RegistryAuth
}

/** Sends one request to a registry, with its login. Throws for every status that is not handled. */
async function ask(
  endpoint: Endpoint,
  path: string,
  options: { context: Context; request?: SendRequest },
): Promise<SentResponse> {
  const { transport, auth } = options.context
  const request = options.request ?? {}
  const url = path.startsWith('http') ? path : `${endpoint.baseUrl}/v2/${endpoint.repository}/${path}`
  const send = (authorization: string | undefined) =>
    transport.send(url, {
      ...request,
      headers: { ...request.headers, ...defined({ authorization }) },
      handles: [...(request.handles ?? []), 401, 403],
    })
  let used = await auth.authorization(endpoint)
  let response = await send(used)
  const own = new URL(endpoint.baseUrl).origin
  // a 401 after a redirect is not from the registry: its login must not go to another host
  if (response.status === 401 && response.origin === own) {
    response.body.destroy()
    used = await auth.answer(endpoint, { challenge: response.headers['www-authenticate'], used })
    response = await send(used)
  }
  if (response.status !== 401 && response.status !== 403) return response
  response.body.destroy()
  if (response.origin !== own) {
    throw new AirgapError(
      'UNAUTHORIZED',
      `the storage to which the registry redirects denies access (${response.status})`,
      {
        item: response.url,
        likely:
          'the signed address has expired (the clock of this machine is wrong), or a firewall answers instead',
        next: 'check the clock; request access to that host, or remap the source to a mirror',
      },
    )
  }
  throw unauthorized(endpoint, {
    what: `the registry denies access (${response.status})`,
    likely:
      used === undefined
        ? 'the repository is private or does not exist'
        : 'the login has no access to this repository, or the repository does not exist',
  })
}

async function manifestAt(
  endpoint: Endpoint,
  reference: Reference,
  context: Context,
): Promise<ResolvedManifest> {
  const wanted = reference.digest ?? reference.tag ?? 'latest'
  const item = `${endpoint.name}${reference.digest ? '@' : ':'}${wanted}`
  const { transport } = context
  const answer = await withRetries(async () => {
    const response = await ask(endpoint, `manifests/${wanted}`, {
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
  if (answer === undefined) throw await notFound(endpoint, { item, reference, context })
  return checkManifest(answer, defined({ item, digest: reference.digest }))
}

/** Returns the error for a missing tag, with similar tags, or for a digest that is gone. */
async function notFound(
  endpoint: Endpoint,
  missing: { item: string; reference: Reference; context: Context },
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

/** Returns up to five tags that begin like the missing one; undefined if the registry does not list its tags. Sends one request. */
async function similarTags(
  endpoint: Endpoint,
  options: { tag: string; context: Context },
): Promise<string[] | undefined> {
  try {
    const response = await ask(endpoint, 'tags/list?n=1000', { context: options.context })
    const { transport } = options.context
    const bytes = await collectBody(response.body, {
      transport,
      item: endpoint.name,
      maxBytes: maxTagList,
      headers: response.headers,
    })
    const tags = tagsIn(bytes)
    if (tags.length === 0) return undefined
    const score = (tag: string) =>
      commonPrefix(tag, options.tag) * 4 - Math.abs(tag.length - options.tag.length)
    return tags.sort((a, b) => score(b) - score(a)).slice(0, 5)
  } catch {
    // the missing tag is the error to report, not that similar ones cannot be listed
    return undefined
  }
}

/** Lists all tags (distribution-spec, "Listing Tags"), page by page. */
async function tagsAt(endpoint: Endpoint, context: Context): Promise<string[]> {
  const { transport } = context
  const tags: string[] = []
  let path: string | undefined = 'tags/list'
  for (let page = 0; path !== undefined && page < maxTagPages; page++) {
    const { headers, bytes } = await withRetries(async () => {
      const response = await ask(endpoint, path!, { context })
      const body = await refuseHtml(response, { wanted: response.url })
      const whole = { transport, item: endpoint.name, maxBytes: maxTagList, headers: response.headers }
      return { headers: response.headers, bytes: await collectBody(body, whole) }
    }, transport.retrying())
    tags.push(...tagsIn(bytes))
    path = nextPage(endpoint, headers['link'])
  }
  return tags
}

/** `tags` is null where Go wrote an empty list. */
function tagsIn(bytes: Buffer): string[] {
  try {
    const list: unknown = JSON.parse(bytes.toString('utf8')).tags
    return Array.isArray(list) ? list.filter(tag => typeof tag === 'string' && isTag(tag)) : []
  } catch {
    return []
  }
}

function commonPrefix(a: string, b: string): number {
  let i = 0
  while (i < a.length && a[i] === b[i]) i++
  return i
}

function blobOpener(
  endpoint: Endpoint,
  blob: { digest: Digest; as: 'manifest' | 'blob'; context: Context },
): BlobOpener {
  const { digest, as, context } = blob
  const path = as === 'manifest' ? `manifests/${digest}` : `blobs/${digest}`
  return {
    name: endpoint.name,
    async open(at, signal) {
      const accept: Record<string, string> = as === 'manifest' ? { accept: manifestAccept } : {}
      const response = await ask(endpoint, path, {
        context,
        request: { headers: { ...accept, ...rangeHeaders(at) }, signal, handles: [404, 416] },
      })
      if (response.status === 404) {
        response.body.destroy()
        throw new AirgapError('NOT_FOUND_UPSTREAM', `${endpoint.host} no longer has this content`, {
          item: `${endpoint.name}@${digest}`,
          likely: 'the publisher removed it after it was locked, or the mirror lacks it',
          next: 'run `airgap lock` again and review the difference, or remap the source to a mirror that has it',
        })
      }
      const body = await refuseHtml(response, { wanted: `${endpoint.baseUrl}/${path}` })
      return openedBody({ ...response, body }, at)
    },
  }
}

/** Lists referrers (distribution-spec, "Listing Referrers"), with the fallback to the tag `sha256-HEX`. */
async function referrersAt(endpoint: Endpoint, digest: Digest, context: Context): Promise<Descriptor[]> {
  const found = new Map<Digest, Descriptor>()
  let path: string | undefined = `referrers/${digest}`
  for (let page = 0; path !== undefined; page++) {
    if (page >= maxReferrerPages) throw tooMany(endpoint, digest)
    const answer = await referrerPage(endpoint, path, context)
    if (answer === undefined)
      return page === 0 ? await referrersByTag(endpoint, digest, context) : [...found.values()]
    for (const descriptor of answer.manifests) found.set(descriptor.digest, descriptor)
    path = answer.next
  }
  return [...found.values()]
}

async function referrerPage(endpoint: Endpoint, path: string, context: Context) {
  const { transport } = context
  const item = `${endpoint.name} (referrers)`
  return await withRetries(async () => {
    const response = await ask(endpoint, path, {
      context,
      request: { headers: { accept: mediaTypes.ociIndex }, handles: [400, 404, 405, 501] },
    })
    const type = response.headers['content-type'] ?? ''
    // a registry without the API answers 404, or sends the start page of its web interface
    if (response.status !== 200 || !type.startsWith(mediaTypes.ociIndex)) {
      response.body.destroy()
      return undefined
    }
    const bytes = await collectBody(response.body, {
      transport,
      item,
      maxBytes: maxManifestSize,
      headers: response.headers,
    })
    const parsed = parseManifest(bytes, { mediaType: mediaTypes.ociIndex, item })
    return { manifests: manifestsOf(parsed), next: nextPage(endpoint, response.headers['link']) }
  }, transport.retrying())
}

async function referrersByTag(endpoint: Endpoint, digest: Digest, context: Context): Promise<Descriptor[]> {
  try {
    const { host } = endpoint
    const tagged = await manifestAt(
      endpoint,
      { host, repository: endpoint.repository, tag: `sha256-${hexOf(digest)}` },
      context,
    )
    return manifestsOf(
      parseManifest(tagged.bytes, { mediaType: tagged.descriptor.mediaType, item: endpoint.name }),
    )
  } catch (error) {
    if (isErrorCode(error, 'NOT_FOUND_UPSTREAM')) return []
    throw error
  }
}

function manifestsOf(parsed: ParsedManifest): Descriptor[] {
  return parsed.type === 'index' ? parsed.manifests.filter(descriptor => isDigest(descriptor.digest)) : []
}

/** Returns the Link to the next page (RFC 8288), only on the same registry: another host would receive its token. */
function nextPage(endpoint: Endpoint, link: string | undefined): string | undefined {
  const target = /<([^>]{1,2000})>\s*;[^,]*\brel="?next"?/.exec(link ?? '')?.[1]
  if (target === undefined || !URL.canParse(target, endpoint.baseUrl)) return undefined
  const url = new URL(target, endpoint.baseUrl)
  return url.origin === new URL(endpoint.baseUrl).origin ? url.href : undefined
}

function tooMany(endpoint: Endpoint, digest: Digest): AirgapError {
  return new AirgapError('UNSUPPORTED', `the image has more than ${maxReferrerPages} pages of referrers`, {
    item: `${endpoint.name}@${digest}`,
    likely: 'the image has thousands of attestations, or the registry links to the same page again and again',
    next: 'remove `referrers` from this image in the manifest',
  })
}
