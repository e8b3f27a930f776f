import type { IncomingMessage, ServerResponse } from 'node:http'
import { describeBytes } from './clients.ts'
import { serveBytes, startUpstream, type Upstream } from './upstream.ts'

interface Content {
  bytes: Buffer
  mediaType: string
}

/** A registry in memory: manifests by tag and digest, blobs by digest, for every repository name. */
export interface FakeRegistry {
  manifests: Map<string, Content>
  blobs: Map<string, Buffer>
  upstream: Upstream
  /** adds a manifest under its digest and, where given, a tag; returns its digest */
  put(manifest: object, options?: { tag?: string; mediaType?: string }): ReturnType<typeof describeBytes>
  putBlob(bytes: Buffer, mediaType?: string): ReturnType<typeof describeBytes>
}

const ociManifest = 'application/vnd.oci.image.manifest.v1+json'

/** `gate` answers a request itself (and returns true) before the registry does. */
export async function startRegistry(
  gate: (request: IncomingMessage, response: ServerResponse, upstream: Upstream) => boolean = () => false,
): Promise<FakeRegistry> {
  const manifests = new Map<string, Content>()
  const blobs = new Map<string, Buffer>()
  const upstream = await startUpstream((request, response, self) => {
    if (gate(request, response, self)) return
    const [, kind, name] = /\/(manifests|blobs)\/([^/?]+)(?:\?.*)?$/.exec(request.url ?? '') ?? []
    const manifest = kind === 'manifests' ? manifests.get(name ?? '') : undefined
    if (manifest) {
      response.setHeader('content-type', manifest.mediaType)
      response.setHeader('docker-content-digest', describeBytes(manifest.bytes).digest)
      serveBytes(request, response, { bytes: manifest.bytes })
      return
    }
    const blob = kind === 'blobs' ? blobs.get(name ?? '') : undefined
    if (blob) serveBytes(request, response, { bytes: blob, etag: `"${name}"` })
    else response.writeHead(404).end(JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN' }] }))
  })
  return {
    manifests,
    blobs,
    upstream,
    put(manifest, options = {}) {
      const bytes = Buffer.from(JSON.stringify(manifest))
      const mediaType = options.mediaType ?? ociManifest
      const descriptor = { ...describeBytes(bytes), mediaType }
      manifests.set(descriptor.digest, { bytes, mediaType })
      if (options.tag) manifests.set(options.tag, { bytes, mediaType })
      return descriptor
    },
    putBlob(bytes, mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip') {
      const descriptor = { ...describeBytes(bytes), mediaType }
      blobs.set(descriptor.digest, bytes)
      return descriptor
    },
  }
}

/** A token service that really issues and really checks: a token is good for one scope, until it expires. */
export interface TokenService {
  /** tokens issued so far, with the request that asked */
  issued: {
    token: string
    scope: string
    authorization: string | undefined
    form: URLSearchParams | undefined
  }[]
  /** makes every token issued so far worthless */
  expireAll(): void
  answer(request: IncomingMessage, response: ServerResponse, body: string): void
  /** sends 401 with a challenge unless the request carries a good token; true where it did */
  refuse(request: IncomingMessage, response: ServerResponse, realm: string): boolean
}

export function tokenService(
  options: { login?: string; refreshToken?: string; expiresIn?: number } = {},
): TokenService {
  const good = new Map<string, string>()
  const service: TokenService = {
    issued: [],
    expireAll: () => good.clear(),
    answer(request, response, body) {
      const url = new URL(request.url ?? '', 'http://x')
      const form = request.method === 'POST' ? new URLSearchParams(body) : undefined
      const asked = form ?? url.searchParams
      const { authorization } = request.headers
      const basic =
        options.login && authorization !== `Basic ${Buffer.from(options.login).toString('base64')}`
      const refresh = options.refreshToken && form?.get('refresh_token') !== options.refreshToken
      if (basic || refresh || asked.get('service') !== 'test-registry') {
        response.writeHead(401).end()
        return
      }
      const scope = asked.get('scope') ?? ''
      const token = `token-${service.issued.length + 1}`
      good.set(token, scope)
      service.issued.push({ token, scope, authorization, form })
      const named = form ? { access_token: token } : { token }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ ...named, expires_in: options.expiresIn ?? 300 }))
    },
    refuse(request, response, realm) {
      const repository = /^\/v2\/(.+?)\/(?:manifests|blobs|tags|referrers)\//.exec(request.url ?? '')?.[1]
      const scope = `repository:${repository}:pull`
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
      if (token && good.get(token) === scope) return false
      response.setHeader(
        'www-authenticate',
        `Bearer realm="${realm}",service="test-registry",scope="${scope},push"`,
      )
      response.writeHead(401).end('{"errors":[{"code":"UNAUTHORIZED"}]}')
      return true
    },
  }
  return service
}
