import { describe, expect, it } from 'vitest'
import { parseTrustedRealms } from '../../src/remote/auth.ts'
import type { Credentials } from '../../src/remote/docker-config.ts'
import { download } from '../../src/remote/download.ts'
import { failure, noise, RecordingSink, testRegistry } from './support/clients.ts'
import {
  type FakeRegistry,
  startRegistry,
  type TokenService,
  tokenService,
} from './support/token-registry.ts'
import { startUpstream } from './support/upstream.ts'

const login: Credentials = { type: 'basic', username: 'me', password: 's3cret' }

/** A registry on loopback that wants tokens of the service at `/token` of its own host. */
async function protectedRegistry(service: TokenService): Promise<FakeRegistry> {
  return await startRegistry((request, response, upstream) => {
    if (request.url?.startsWith('/token')) {
      service.answer(request, response, upstream.seen.at(-1)?.body ?? '')
      return true
    }
    return service.refuse(request, response, `${upstream.origin}/token`)
  })
}

function client(registry: FakeRegistry, credentials?: Credentials) {
  return testRegistry({
    // realms on other addresses of this machine are followed: these tests are about logins
    allowPrivateRedirects: true,
    sources: [{ from: 'registry.example', to: [registry.upstream.origin] }],
    credentials: { find: async () => credentials },
  })
}

const image = { host: 'registry.example', repository: 'team/app', tag: '1' }
const name = 'registry.example/team/app'
const emptyManifest = (registry: FakeRegistry) => {
  const config = registry.putBlob(Buffer.from('{}'), 'application/vnd.oci.image.config.v1+json')
  return registry.put({ schemaVersion: 2, config, layers: [] }, { tag: '1' })
}

describe('registry login', () => {
  it('gets an anonymous token for one repository, and reuses it', async () => {
    const service = tokenService()
    const registry = await protectedRegistry(service)
    emptyManifest(registry)
    const { registry: api } = client(registry)
    await api.manifest(image)
    await api.manifest(image)
    // the registry asked for push as well; no more than reading is ever asked for
    expect(service.issued.map(token => token.scope)).toEqual(['repository:team/app:pull'])
    expect(service.issued[0]?.authorization).toBeUndefined()
    expect(registry.upstream.seen).toHaveLength(4)
  })

  it('sends a password to the token service of the same host, and never prints a wrong one', async () => {
    const service = tokenService({ login: 'me:s3cret' })
    const registry = await protectedRegistry(service)
    emptyManifest(registry)
    await client(registry, login).registry.manifest(image)
    expect(service.issued).toHaveLength(1)
    const wrong = client(registry, { ...login, password: 'wr0ng' })
    const error = await failure(wrong.registry.manifest(image), 'UNAUTHORIZED')
    expect(error.next).toContain('docker login')
    expect(JSON.stringify(error) + wrong.progress.notes.join()).not.toContain('wr0ng')
    const none = await failure(client(registry).registry.manifest(image), 'UNAUTHORIZED')
    expect(none.likely).toContain('private')
  })

  it('exchanges an identity token by POST', async () => {
    const service = tokenService({ refreshToken: 'refresh-me' })
    const registry = await protectedRegistry(service)
    emptyManifest(registry)
    await client(registry, { type: 'identity-token', identityToken: 'refresh-me' }).registry.manifest(image)
    expect(service.issued[0]?.form?.get('grant_type')).toBe('refresh_token')
    expect(registry.upstream.seen.some(request => request.url.includes('refresh-me'))).toBe(false)
  })

  it('answers Basic', async () => {
    const authorization = `Basic ${Buffer.from('me:s3cret').toString('base64')}`
    const registry = await startRegistry((request, response) => {
      if (request.headers.authorization === authorization) return false
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
      return true
    })
    emptyManifest(registry)
    const { registry: api } = client(registry, login)
    await api.manifest(image)
    await api.manifest(image)
    expect(registry.upstream.seen).toHaveLength(3)
    await failure(client(registry, { ...login, password: 'x' }).registry.manifest(image), 'UNAUTHORIZED')
    await failure(client(registry).registry.manifest(image), 'UNAUTHORIZED')
  })

  it('fault 13: renews an expired token once, however many blobs find it expired', async () => {
    const service = tokenService({ expiresIn: 100 })
    const registry = await protectedRegistry(service)
    const blobs = Array.from({ length: 24 }, () => registry.putBlob(noise(20_000)))
    const { registry: api, clock, progress } = client(registry)
    const all = () =>
      Promise.all(
        blobs.map(async descriptor => {
          const sink = new RecordingSink(descriptor)
          await download({ openers: api.openers(name, descriptor.digest, 'blob'), sink, clock, progress })
          expect(sink.finished).toBe(true)
        }),
      )
    await all()
    expect(service.issued).toHaveLength(1)
    // the service forgets it before its time: every blob is refused, one renewal
    service.expireAll()
    await all()
    expect(service.issued).toHaveLength(2)
    // its time is over by the clock: one renewal, and no blob is refused
    clock.advance(100_000)
    const refusedBefore = registry.upstream.seen.length
    await all()
    expect(service.issued).toHaveLength(3)
    expect(registry.upstream.seen.length - refusedBefore).toBe(blobs.length + 1)
  })

  it('fault 13: a blob continues where it was after its token expires', async () => {
    const service = tokenService()
    let cut = true
    const registry = await startRegistry((request, response, upstream) => {
      if (request.url?.startsWith('/token')) {
        service.answer(request, response, '')
        return true
      }
      if (service.refuse(request, response, `${upstream.origin}/token`)) return true
      if (!cut) return false
      cut = false
      service.expireAll()
      response.writeHead(200, { 'content-length': bytes.length, etag: `"${blob.digest}"` })
      response.write(bytes.subarray(0, 40_000), () => setTimeout(() => response.destroy(), 10))
      return true
    })
    const bytes = noise(100_000)
    const blob = registry.putBlob(bytes)
    const { registry: api, clock, progress } = client(registry)
    const sink = new RecordingSink(blob)
    await download({ openers: api.openers(name, blob.digest, 'blob'), sink, clock, progress })
    expect(sink.bytes().equals(bytes)).toBe(true)
    expect(sink.restarts).toEqual([])
    expect(service.issued).toHaveLength(2)
    expect(registry.upstream.seen.at(-1)?.headers.range).toBe('bytes=40000-')
  })

  it('fault 14: a realm on another site gets no password unless it is declared', async () => {
    const service = tokenService()
    const realm = await startUpstream((request, response) => service.answer(request, response, ''), {
      address: '127.0.0.2',
    })
    const registry = await startRegistry((request, response) =>
      service.refuse(request, response, `${realm.origin}/token`),
    )
    emptyManifest(registry)
    await client(registry, login).registry.manifest(image)
    expect(service.issued[0]?.authorization).toBeUndefined()
    const sources = [{ from: 'registry.example', to: [registry.upstream.origin] }]
    const env = { AIRGAP_TRUSTED_REALMS: `other.example=x.example, ${registry.upstream.host}=${realm.host}` }
    // which may be at another address of this machine, because it is declared
    const declared = testRegistry({ sources, env, credentials: { find: async () => login } })
    await declared.registry.manifest(image)
    expect(service.issued[1]?.authorization).toBe(`Basic ${Buffer.from('me:s3cret').toString('base64')}`)
  })

  it('fault 14: the error reports that a foreign realm got no password', async () => {
    const service = tokenService({ login: 'me:s3cret' })
    const realm = await startUpstream((request, response) => service.answer(request, response, ''), {
      address: '127.0.0.2',
    })
    const registry = await startRegistry((request, response) =>
      service.refuse(request, response, `${realm.origin}/token`),
    )
    const error = await failure(client(registry, login).registry.manifest(image), 'UNAUTHORIZED')
    expect(error.likely).toContain('not sent to it')
    expect(error.next).toContain(`AIRGAP_TRUSTED_REALMS=${registry.upstream.host}=${realm.host}`)
    expect(realm.seen.every(request => request.headers.authorization === undefined)).toBe(true)
  })

  it.each([
    ['http://tokens.example/token', 'UNAUTHORIZED'],
    ['ftp://127.0.0.1/token', 'UNAUTHORIZED'],
  ] as const)('fault 14: a realm at %s is refused', async (realm, code) => {
    const service = tokenService()
    const registry = await startRegistry((request, response) => service.refuse(request, response, realm))
    const error = await failure(client(registry, login).registry.manifest(image), code)
    expect(error.message).toContain('without TLS')
  })

  it('fault 14: does not follow a redirect that answers a refresh token', async () => {
    const thief = await startUpstream((_request, response) => response.end('{}'))
    const registry = await startRegistry((request, response, upstream) => {
      if (request.url?.startsWith('/token')) response.writeHead(307, { location: `${thief.origin}/` }).end()
      else tokenService().refuse(request, response, `${upstream.origin}/token`)
      return true
    })
    const api = client(registry, { type: 'identity-token', identityToken: 'refresh-me' }).registry
    await failure(api.manifest(image), 'REDIRECT_REFUSED')
    expect(thief.seen).toEqual([])
  })

  it('does not answer a 401 after a redirect', async () => {
    const storage = await startUpstream((_request, response) => {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="give"' }).end()
    })
    const registry = await startRegistry((_request, response) => {
      response.writeHead(307, { location: `${storage.origin}/blob` }).end()
      return true
    })
    const error = await failure(client(registry, login).registry.manifest(image), 'UNAUTHORIZED')
    expect(error.message).toContain('storage')
    expect(storage.seen).toHaveLength(1)
    expect(storage.seen[0]?.headers.authorization).toBeUndefined()
  })

  it.each(['{"token":"a\\r\\nX-Evil: 1"}', '{}', '<html>', '{"token":5}'])(
    'refuses %s from a token service',
    async text => {
      const registry = await startRegistry((request, response, upstream) => {
        if (request.url?.startsWith('/token')) response.end(text)
        else tokenService().refuse(request, response, `${upstream.origin}/token`)
        return true
      })
      await failure(client(registry).registry.manifest(image), 'UPSTREAM_INVALID')
    },
  )

  it('a token that is refused every time ends with advice', async () => {
    const service = tokenService()
    const registry = await startRegistry((request, response, upstream) => {
      if (request.url?.startsWith('/token')) service.answer(request, response, '')
      else {
        service.expireAll()
        service.refuse(request, response, `${upstream.origin}/token`)
      }
      return true
    })
    const error = await failure(client(registry).registry.manifest(image), 'UNAUTHORIZED')
    expect(error.next).toContain('docker login 127.0.0.1')
    expect(registry.upstream.seen.length).toBeLessThan(6)
  })

  it.each(['registry.example', 'a=https://b', '=b', 'a='])('refuses the list of realms %j', text => {
    expect(() => parseTrustedRealms(text)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })

  it.each([
    { token: 'good' },
    { token: null, access_token: 'good', expires_in: null, issued_at: null },
    { token: '', access_token: 'good', expires_in: '300', refresh_token: '' },
    { token: 'good', access_token: null, expires_in: 0, issued_at: '0001-01-01T00:00:00Z' },
    { token: 'good', expires_in: 'soon', scope: [null] },
    { token: 'good', expires_in: -1 },
  ])('reads the token of %j, and uses it for a minute', async answer => {
    let issued = 0
    const registry = await startRegistry((request, response, upstream) => {
      if (request.url?.startsWith('/token')) {
        issued++
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify(answer))
        return true
      }
      if (request.headers.authorization === 'Bearer good') return false
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${upstream.origin}/token"` }).end('null')
      return true
    })
    emptyManifest(registry)
    const { registry: api } = client(registry)
    await api.manifest(image)
    await api.manifest(image)
    expect(issued).toBe(1)
  })

  it('a mirror gets the login of its own name, not that of the registry it replaces', async () => {
    const service = tokenService()
    const registry = await protectedRegistry(service)
    emptyManifest(registry)
    const asked: string[] = []
    const { registry: api } = testRegistry({
      sources: [{ from: 'registry.example', to: [registry.upstream.origin] }],
      credentials: {
        find: async ({ host, repository }) => {
          asked.push(`${host}/${repository}`)
          return undefined
        },
      },
    })
    await api.manifest(image)
    expect(asked).toEqual([`${registry.upstream.host}/team/app`])
  })
})
