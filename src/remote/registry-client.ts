import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import type { Progress } from '../core/progress.ts'
import { splitRepository } from '../core/reference.ts'
import { createRegistryAuth, parseTrustedRealms } from './auth.ts'
import { refuseHtml } from './captive-portal.ts'
import type { BlobOpener, RegistryClient } from './contract.ts'
import { type CredentialStore, dockerCredentials } from './docker-config.ts'
import { download } from './download.ts'
import type { TransportingHttpClient } from './http-client.ts'
import { manifestAccept } from './manifest-answer.ts'
import { MemorySink } from './memory-sink.ts'
import { firstOf } from './mirrors.ts'
import { openedBody, rangeHeaders } from './range.ts'
import { referrersAt } from './referrers.ts'
import { manifestAt } from './registry-manifest.ts'
import { ask, type RegistryContext } from './registry-request.ts'
import { tagsAt } from './registry-tags.ts'
import { type Endpoint, registryEndpoints, type SourceMap } from './source-map.ts'

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

/** Creates a client for the pull side of the OCI distribution specification v1.1, over mirrors. */
export function createRegistryClient(options: RegistryOptions): RegistryClient {
  const { transport } = options.http
  const sources = options.sources ?? []
  const progress = options.progress ?? transport.progress
  const env = options.env ?? process.env
  const credentials = options.credentials ?? dockerCredentials({ progress, env })
  const trustedRealms = options.trustedRealms ?? parseTrustedRealms(env['AIRGAP_TRUSTED_REALMS'])
  const auth = createRegistryAuth({ transport, credentials, trustedRealms })
  const context: RegistryContext = { transport, auth }
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

function blobOpener(
  endpoint: Endpoint,
  blob: { digest: Digest; as: 'manifest' | 'blob'; context: RegistryContext },
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
