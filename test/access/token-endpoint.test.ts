import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { GrantAnswer, GrantRequest } from '../../src/access/authority.ts'
import { MemoryStore } from '../../src/content/memory-store.ts'
import { permissionsOf } from '../../src/deploy/site-access.ts'
import { createRegistryServer } from '../../src/serve/registry.ts'
import { sampleImages } from '../serve/support/servers.ts'

const { publicKey } = generateKeyPairSync('ed25519')

/** A registry whose grants are recorded: `ci` with the password `right` gets a token. */
function registry() {
  const grants: GrantRequest[] = []
  const state = {
    site: 'site-1',
    requireLogin: false,
    users: [{ name: 'ci', role: 'push', stamp: 's' }] as const,
    publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  }
  const access = {
    state: () => ({ ...state, users: [...state.users] }),
    login: async () => ({ wrong: true }) as const,
    async grant(request: GrantRequest): Promise<GrantAnswer> {
      grants.push(request)
      if (request.login?.name === 'flood') return { wait: 7 }
      if (request.login !== undefined && request.login.password !== 'right') return { wrong: true }
      return { token: 'a.b.c', access: request.wanted }
    },
    clock: { boot: '', seconds: () => 0 },
    noteWrite: () => {},
  }
  const address = { scheme: 'http', host: 'site.example', registryPort: 35_000, httpPort: 8080 } as const
  const permission = permissionsOf(access, address).registry
  return {
    grants,
    permission,
    server: createRegistryServer(new MemoryStore(), sampleImages(), { permission }),
  }
}

async function post(form: Record<string, string>) {
  const { server, grants } = registry()
  const answer = await server.inject({
    method: 'POST',
    url: '/token',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
  })
  return { status: answer.statusCode, body: answer.json(), grants, headers: answer.headers }
}

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

describe('tokens by GET', () => {
  it('are for all scopes, of the user or of nobody', async () => {
    const { server, grants } = registry()
    const url = '/token?service=offline-deploy&scope=repository:a:pull,push&scope=repository:b:pull'
    const answer = await server.inject({ url, headers: { authorization: basic('ci:right') } })
    expect(answer.json()).toEqual({
      token: 'a.b.c',
      access_token: 'a.b.c',
      expires_in: 300,
      scope: 'repository:a:pull,push repository:b:pull',
    })
    expect(answer.headers['cache-control']).toBe('no-store')
    expect((await server.inject({ url })).statusCode).toBe(200)
    expect(grants.map(({ login }) => login?.name)).toEqual(['ci', undefined])
  })

  it('are refused with a wrong or unreadable login, with too many scopes, and after too many attempts', async () => {
    const { server } = registry()
    const get = async (authorization: string, url = '/token') =>
      await server.inject({ url, headers: { authorization } })
    const wrong = await get(basic('ci:wrong'))
    expect([wrong.statusCode, wrong.headers['www-authenticate']]).toEqual([
      401,
      'Basic realm="offline-deploy", charset="UTF-8"',
    ])
    expect((await get('Bearer x')).statusCode).toBe(401)
    const waiting = await get(basic('flood:x'))
    expect([waiting.statusCode, waiting.headers['retry-after']]).toEqual([429, '7'])
    const scopes = Array.from({ length: 80 }, (_, i) => `scope=repository:${'n'.repeat(60)}${i}:pull`)
    expect((await get(basic('ci:right'), `/token?${scopes.join('&')}`)).statusCode).toBe(400)
  })
})

describe('tokens by POST', () => {
  it('are for a password, as containerd sends it', async () => {
    const form = { grant_type: 'password', service: 'x', scope: 'repository:a:pull repository:b:pull' }
    const { status, body, grants } = await post({ ...form, username: 'ci', password: 'right' })
    expect([status, body.access_token]).toEqual([200, 'a.b.c'])
    expect(grants[0]?.wanted).toHaveLength(2)
    expect(await post({ ...form, username: 'ci', password: 'wrong' })).toMatchObject({
      status: 401,
      body: { error: 'invalid_grant', errors: [{ code: 'UNAUTHORIZED' }] },
    })
  })

  it('are not for refresh tokens, which this server never issues', async () => {
    const { status, body, grants } = await post({ grant_type: 'refresh_token', refresh_token: 'x' })
    expect([status, body.error, grants]).toEqual([400, 'unsupported_grant_type', []])
  })

  it('are refused for other media types and long forms', async () => {
    const { server } = registry()
    const send = async (type: string, body: string) =>
      (await server.inject({ method: 'POST', url: '/token', headers: { 'content-type': type }, body }))
        .statusCode
    expect(await send('application/json', '{}')).toBe(400)
    expect(await send('application/x-www-form-urlencoded', `a=${'x'.repeat(20_000)}`)).toBe(400)
  })
})

it.each([
  ['site.example:35000', 'http://site.example:35000/token'],
  ['127.0.0.1:5000', 'http://127.0.0.1:5000/token'],
  ['localhost:35000', 'http://localhost:35000/token'],
  ['evil.example', 'http://site.example:35000/token'],
  ['127.0.0.2:35000', 'http://site.example:35000/token'],
  ['x",realm="http://evil', 'http://site.example:35000/token'],
])('a client that came to %s is sent to %s', async (host, realm) => {
  const caller = { host, remoteAddress: '127.0.0.1', localAddress: '::ffff:127.0.0.1', encrypted: false }
  const decision = await registry().permission.check({ action: 'pull', special: 'login' }, caller)
  expect('refusal' in decision && decision.headers['www-authenticate']).toBe(
    `Bearer realm="${realm}",service="offline-deploy"`,
  )
})
