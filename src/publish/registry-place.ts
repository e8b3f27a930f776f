import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import type { Progress } from '../core/progress.ts'
import { formatReference, isTag, parseReference, type Reference, splitRepository } from '../core/reference.ts'
import { createRegistryAuth, parseTrustedRealms } from '../remote/auth.ts'
import { dockerCredentials } from '../remote/docker-config.ts'
import { createHttpClient } from '../remote/http-client.ts'
import type { RegistryContext } from '../remote/registry-request.ts'
import { type Endpoint, registryEndpoints } from '../remote/source-map.ts'

/** One name in one registry, and the connections to it. */
export interface RegistryPlace {
  reference: Reference
  /** as a person writes it */
  name: string
  endpoint: Endpoint
  context: RegistryContext
  close(): Promise<void>
}

export interface PlaceOptions {
  /** `pull,push` for pushing: what tokens are requested for */
  access: 'pull' | 'pull,push'
  plainHttp: boolean
  caFile?: string | undefined
  /** default: docker's config.json */
  registryConfig?: string | undefined
  /** connections */
  jobs: number
  progress: Progress
  signal: AbortSignal
}

/**
 * Parses `REGISTRY/NAME:VERSION`, or `@sha256:…`; without either, `version` is the tag. Throws REFERENCE_INVALID, without repeating a password
 * in it.
 */
export function parseBundleReference(text: string, version?: string): Reference {
  if (/^[a-z+]+:\/\//i.test(text))
    throw new AirgapError('REFERENCE_INVALID', 'the name is written with a scheme', {
      item: text.replace(/\/\/[^/]*@/, '//').slice(0, 300),
      next: `write it as ${example}${text.startsWith('http:') ? ', and add --plain-http' : ''}`,
    })
  const name = text.split('@')[0]!
  const isBare = name === text && name.lastIndexOf(':') <= name.lastIndexOf('/')
  const tagged = isBare && version !== undefined && isTag(version) ? `${text}:${version}` : text
  try {
    const reference = parseReference(tagged)
    if (!text.includes('/') || splitRepository(name).host !== name.split('/')[0])
      throw new AirgapError('REFERENCE_INVALID', 'the name has no registry', { item: text.slice(0, 300) })
    return reference
  } catch (error) {
    if (!(error instanceof AirgapError)) throw error
    throw new AirgapError('REFERENCE_INVALID', error.message.replace('image reference', 'name'), {
      ...defined({ item: error.item }),
      next: `write it as ${example}`,
      cause: error,
    })
  }
}

const example = 'host[:port]/name:version, for example registry.example/site/stack:1.0.0'

/** Opens the connections to the registry of a reference. The caller closes them. Throws USAGE. */
export function openPlace(reference: Reference, options: PlaceOptions): RegistryPlace {
  const { progress, signal, plainHttp, jobs, access, caFile, registryConfig } = options
  const place = `${reference.host}/${reference.repository}`
  const sources = plainHttp ? [{ from: place, to: [`http://${place}`] }] : []
  const [endpoint] = registryEndpoints(sources, reference)
  const http = createHttpClient({ connections: jobs + 2, progress, signal, ...defined({ caFile }) })
  const { transport } = http
  const credentials = dockerCredentials({ progress, ...defined({ path: registryConfig }) })
  const trustedRealms = parseTrustedRealms(process.env['AIRGAP_TRUSTED_REALMS'])
  const auth = createRegistryAuth({ transport, credentials, trustedRealms, access })
  return {
    reference,
    name: formatReference(reference),
    endpoint: endpoint!,
    context: { transport, auth },
    close: () => http.close(),
  }
}
