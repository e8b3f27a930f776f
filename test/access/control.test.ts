import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type AccessState, accessControl } from '../../src/access/control.ts'
import type { Login, LoginAnswer } from '../../src/access/logins.ts'
import { type Access, granted, parseScopes } from '../../src/access/scopes.ts'
import { signToken, type TokenClaims, tokenSeconds } from '../../src/access/token.ts'
import { type NeededAccess, registryNeeds } from '../../src/serve/permission.ts'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const caller = { remoteAddress: '10.0.0.1', localAddress: '10.0.0.2', encrypted: true }
const push: NeededAccess = { action: 'push', repository: 'own/app' }
const read: NeededAccess = { action: 'pull', repository: 'own/app' }

function control({ requireLogin = false } = {}) {
  const clock = { boot: 'boot-1', at: 1_000, seconds: () => clock.at }
  const current: { state: AccessState } = {
    state: {
      site: 'site-1',
      requireLogin,
      users: [
        { name: 'ci', role: 'push', stamp: 's1' },
        { name: 'reader', role: 'pull', stamp: 's2' },
      ],
      publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    },
  }
  const logins: Login[] = []
  const permission = accessControl({
    state: () => current.state,
    async login(login): Promise<LoginAnswer> {
      logins.push(login)
      const user = current.state.users.find(({ name }) => name === login.name)
      return user !== undefined && login.password === 'right' ? { user } : { wrong: true }
    },
    clock,
    realm: () => 'https://site/token',
  })
  const token = (claims: Partial<TokenClaims> = {}, key: KeyObject = privateKey) =>
    signToken(
      {
        iss: 'site-1',
        sub: 'ci',
        stamp: 's1',
        access: [{ type: 'repository', name: 'own/app', actions: ['pull', 'push'] }],
        boot: 'boot-1',
        until: clock.at + tokenSeconds,
        iat: 0,
        ...claims,
      },
      key,
    )
  /** The status, and what the challenge says of the error. */
  async function check(needed: NeededAccess, authorization?: string): Promise<string> {
    const decision = await permission.check(needed, {
      ...caller,
      ...(authorization === undefined ? {} : { authorization }),
    })
    if (!('refusal' in decision)) return 'allowed'
    const error = /error="(\w+)"/.exec(decision.headers['www-authenticate'] ?? '')?.[1]
    return `${decision.refusal.httpStatus}${error === undefined ? '' : ` ${error}`}`
  }
  return { clock, current, logins, permission, token, check }
}

function basic(text: string | Uint8Array): string {
  return `Basic ${Buffer.from(text).toString('base64')}`
}

describe('a password', () => {
  it('allows what the role includes: 401 without a login, 403 with another role', async () => {
    const { check } = control()
    expect(await check(push)).toBe('401')
    expect(await check(push, basic('ci:right'))).toBe('allowed')
    expect(await check(push, basic('ci:wrong'))).toBe('401')
    expect(await check(push, basic('reader:right'))).toBe('403')
    expect(await check({ action: 'delete', repository: 'own/app' }, basic('ci:right'))).toBe('403')
  })

  it('may contain colons; a name is read as UTF-8', async () => {
    const { check, logins } = control()
    await check(push, basic('ci:a:b:c'))
    await check(push, basic('김:말'))
    expect(logins.map(({ name, password }) => [name, password])).toEqual([
      ['ci', 'a:b:c'],
      ['김', '말'],
    ])
  })

  it.each([
    basic(Buffer.from([0x63, 0x69, 0xff, 0x3a, 0x78])),
    basic('no colon'),
    'Basic !!!',
    'Basic',
    'Digest username="ci"',
    `Basic ${'A'.repeat(9_000)}`,
    'Bearer',
    '',
  ])('that cannot be read is a wrong one: %.40s', async header => {
    const { check, logins } = control()
    expect(await check(push, header)).toBe('401')
    expect(logins).toEqual([])
  })
})

describe('a token', () => {
  it('allows what it contains, and no more', async () => {
    const { check, token } = control()
    expect(await check(push, `Bearer ${token()}`)).toBe('allowed')
    expect(await check({ ...push, repository: 'own/other' }, `Bearer ${token()}`)).toBe(
      '401 insufficient_scope',
    )
    const reading: Access[] = [{ type: 'repository', name: 'own/app', actions: ['pull'] }]
    expect(await check(push, `Bearer ${token({ access: reading })}`)).toBe('401 insufficient_scope')
    expect(await check({ action: 'pull', special: 'login' }, `Bearer ${token({ access: [] })}`)).toBe(
      'allowed',
    )
  })

  it('never allows more than the role does now', async () => {
    const { check, token, current } = control()
    const wide: Access[] = [{ type: 'repository', name: 'own/app', actions: ['pull', 'push', 'delete'] }]
    const deletion: NeededAccess = { action: 'delete', repository: 'own/app' }
    expect(await check(deletion, `Bearer ${token({ access: wide })}`)).toBe('403')
    current.state = { ...current.state, users: [] }
    expect(await check(push, `Bearer ${token()}`)).toBe('401 invalid_token')
    current.state = { ...current.state, users: [{ name: 'ci', role: 'admin', stamp: 'another password' }] }
    expect(await check(push, `Bearer ${token()}`)).toBe('401 invalid_token')
  })

  it('of nobody reads, and does nothing else', async () => {
    const nobody = { sub: '', stamp: '' }
    expect(await control().check(read, `Bearer ${control().token(nobody)}`)).toBe('allowed')
    expect(await control().check(push, `Bearer ${control().token(nobody)}`)).toBe('401')
    const { check, token } = control({ requireLogin: true })
    expect(await check(read, `Bearer ${token(nobody)}`)).toBe('401')
  })

  it('expires by a clock that does not jump', async () => {
    const { check, token, clock } = control()
    const made = `Bearer ${token()}`
    clock.at += tokenSeconds + 20
    expect(await check(push, made)).toBe('allowed')
    clock.at += 20
    expect(await check(push, made)).toBe('401 invalid_token')
  })

  it.each([
    ['of another site', { iss: 'site-2' }],
    ['of another boot', { boot: 'boot-2' }],
    ['that is valid for longer than any', { until: 1_000 + 2 * tokenSeconds }],
    ['of an unknown user', { sub: 'ghost' }],
  ])('%s is refused', async (_, claims) => {
    const { check, token } = control()
    expect(await check(push, `Bearer ${token(claims)}`)).toBe('401 invalid_token')
  })

  it('that this site has not signed is refused, whatever its header says', async () => {
    const { check, token, current } = control()
    const [head = '', body = '', signature = ''] = token().split('.')
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = (header: object) => {
      const text = `${encode(header)}.${body}`
      return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`
    }
    const none = encode({ alg: 'none', typ: 'JWT' })
    const hs = encode({ alg: 'HS256', typ: 'JWT' })
    const keyAsSecret = createHmac('sha256', Buffer.from(current.state.publicKey, 'base64'))
      .update(`${hs}.${body}`)
      .digest('base64url')
    const otherBody = encode({ ...JSON.parse(Buffer.from(body, 'base64url').toString()), sub: 'reader' })
    for (const forged of [
      `${none}.${body}.`,
      `${none}.${body}.${signature}`,
      `${hs}.${body}.${keyAsSecret}`,
      signed({ typ: 'JWT', alg: 'EdDSA' }),
      signed({ alg: 'EdDSA', typ: 'JWT', jwk: {} }),
      `${head}.${otherBody}.${signature}`,
      `${head}.${body}.${signature}=`,
      `${head}.${body}.`,
      `${head}.${body}`,
      `${head}.${body}.${signature}.${signature}`,
      token({}, generateKeyPairSync('ed25519').privateKey),
    ])
      expect(await check(push, `Bearer ${forged}`), forged.slice(0, 60)).toBe('401 invalid_token')
  })

  it('is asked for with the scope that the request needs; a hostile name asks for none', async () => {
    const { permission } = control()
    const challenge = async (needed: NeededAccess) => {
      const decision = await permission.check(needed, caller)
      return 'refusal' in decision ? decision.headers['www-authenticate'] : undefined
    }
    expect(await challenge(push)).toBe(
      'Bearer realm="https://site/token",service="offline-deploy",scope="repository:own/app:pull,push"',
    )
    expect(await challenge({ ...push, repository: 'x",error="y' })).not.toContain('scope')
  })
})

describe('scopes', () => {
  it('are several in one text, or several texts; each thing is granted on its own', () => {
    const wanted = parseScopes([
      'repository:a/b:pull,push repository:c:pull',
      'repository:a/b:delete',
      'registry:catalog:*',
      'repository(plugin):d:*',
    ])
    expect(granted(wanted ?? [], 'push')).toEqual([
      { type: 'repository', name: 'a/b', actions: ['pull', 'push'] },
      { type: 'repository', name: 'c', actions: ['pull'] },
      { type: 'registry', name: 'catalog', actions: ['*'] },
      { type: 'repository', name: 'd', actions: ['pull', 'push'] },
    ])
    expect(granted(wanted ?? [], 'admin')[0]?.actions).toEqual(['pull', 'push', 'delete'])
  })

  it.each([
    'repository:A:pull',
    'repository:a',
    'repository::pull',
    'registry:users:*',
    'x:y:z',
    'repository:a b:pull',
    '"',
  ])('that are none grant nothing: %s', text => {
    expect(granted(parseScopes([text]) ?? [], 'admin')).toEqual([])
  })

  it('are refused where a token could not contain them', () => {
    expect(parseScopes(Array.from({ length: 100 }, (_, i) => `repository:${'n'.repeat(200)}${i}:pull`))).toBe(
      undefined,
    )
  })
})

it.each([
  ['POST', '/v2/a/b/blobs/uploads/', 'push', 'a/b'],
  ['PATCH', '/v2/a/blobs/uploads/1?x=y', 'push', 'a'],
  ['DELETE', '/v2/a/blobs/uploads/1', 'push', 'a'],
  ['PUT', '/v2/a/blobs/b/manifests/1', 'push', 'a/blobs/b'],
  ['DELETE', '/v2/a/manifests/1', 'delete', 'a'],
  ['GET', '/v2/a%2fb/tags/list', 'pull', undefined],
  ['PUT', '/v2/a/unknown/1', 'push', undefined],
  ['POST', '/anything', 'push', undefined],
  ['PURGE', '/v2/a/manifests/1', 'push', 'a'],
])('%s %s needs %s', (method, url, action, repository) => {
  expect(registryNeeds({ method, url })).toEqual({ action, ...(repository && { repository }) })
})
