import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AirgapError } from '../../src/core/errors.ts'
import { checkSourceRule, mirrorsOf, registryEndpoints, type SourceMap } from '../../src/remote/source-map.ts'

const keycloak = { host: 'docker.io', repository: 'bitnami/keycloak' }
const where = (map: SourceMap, name = keycloak) =>
  registryEndpoints(map, name).map(endpoint => `${endpoint.baseUrl}/v2/${endpoint.repository}`)

describe('remapped registries', () => {
  it('without a map: https, and Docker Hub at its own host', () => {
    expect(registryEndpoints([], { host: 'quay.io', repository: 'a/b' })).toEqual([
      { baseUrl: 'https://quay.io', repository: 'a/b', host: 'quay.io', name: 'quay.io/a/b' },
    ])
    expect(registryEndpoints([], keycloak)).toEqual([
      {
        baseUrl: 'https://registry-1.docker.io',
        repository: 'bitnami/keycloak',
        host: 'docker.io',
        name: 'docker.io/bitnami/keycloak',
      },
    ])
    expect(where([], { host: '127.0.0.1:5000', repository: 'x' })).toEqual(['https://127.0.0.1:5000/v2/x'])
  })

  it('a host, with a path in front, with a scheme, several in order, the original last where it is listed', () => {
    const to = [
      'mirror.example/dockerhub',
      'http://127.0.0.1:5000/docker.io/',
      'http://[::1]:5000',
      'docker.io',
    ]
    expect(where([{ from: 'docker.io', to }])).toEqual([
      'https://mirror.example/v2/dockerhub/bitnami/keycloak',
      'http://127.0.0.1:5000/v2/docker.io/bitnami/keycloak',
      'http://[::1]:5000/v2/bitnami/keycloak',
      'https://registry-1.docker.io/v2/bitnami/keycloak',
    ])
  })

  it('the longest prefix wins, in whole parts, in any order', () => {
    const map = [
      { from: 'docker.io', to: ['a.example'] },
      { from: 'docker.io/bitnami/keycloak', to: ['docker.io/bitnamilegacy/keycloak'] },
      { from: 'docker.io/bitnami', to: ['b.example/bit'] },
      { from: 'docker.io/bitnami/key', to: ['never.example'] },
    ]
    for (const rules of [map, map.toReversed()]) {
      expect(where(rules)).toEqual(['https://registry-1.docker.io/v2/bitnamilegacy/keycloak'])
      expect(where(rules, { host: 'docker.io', repository: 'bitnami/redis' })).toEqual([
        'https://b.example/v2/bit/redis',
      ])
      expect(where(rules, { host: 'docker.io', repository: 'bitnamix/redis' })).toEqual([
        'https://a.example/v2/bitnamix/redis',
      ])
      expect(where(rules, { host: 'quay.io', repository: 'a' })).toEqual(['https://quay.io/v2/a'])
    }
  })

  it('recognizes Docker Hub by any of its names', () => {
    for (const from of ['docker.io', 'index.docker.io', 'registry-1.docker.io']) {
      expect(where([{ from, to: ['m.example'] }])).toEqual(['https://m.example/v2/bitnami/keycloak'])
    }
  })

  it('URL prefixes do not apply to registries, nor hosts to URLs', () => {
    const map = [{ from: 'https://docker.io', to: ['https://m.example'] }]
    expect(where(map)).toEqual(['https://registry-1.docker.io/v2/bitnami/keycloak'])
    expect(mirrorsOf([{ from: 'docker.io', to: ['m.example'] }], 'https://docker.io/x')).toEqual([
      'https://docker.io/x',
    ])
  })

  it.each(['', '/x', 'http://', 'ftp://x/y', 'a b', 'x:port/y'])('refuses the target %j', to => {
    expect(() => where([{ from: 'docker.io', to: [to] }])).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})

describe('remapped URLs', () => {
  it('replaces the prefix, keeps the rest and its query', () => {
    const map = [
      {
        from: 'https://files.example',
        to: ['http://127.0.0.1:8081/files/', 'mirror.example/f', 'https://files.example'],
      },
    ]
    expect(mirrorsOf(map, 'https://files.example/a/b.tgz?x=1#y')).toEqual([
      'http://127.0.0.1:8081/files/a/b.tgz?x=1#y',
      'https://mirror.example/f/a/b.tgz?x=1#y',
      'https://files.example/a/b.tgz?x=1#y',
    ])
    expect(mirrorsOf(map, 'https://files.example.evil/a')).toEqual(['https://files.example.evil/a'])
    expect(
      mirrorsOf([{ from: 'https://a.example/x?v=', to: ['https://b.example/y'] }], 'https://a.example/x'),
    ).toEqual(['https://a.example/x'])
  })

  it('the longest prefix wins', () => {
    const map = [
      { from: 'https://a.example/', to: ['https://one.example'] },
      { from: 'https://a.example/pub/', to: ['https://two.example/'] },
    ]
    expect(mirrorsOf(map, 'https://a.example/pub/x')).toEqual(['https://two.example/x'])
    expect(mirrorsOf(map, 'https://a.example/public')).toEqual(['https://one.example/public'])
  })

  it('any map results in endpoints or in an error with advice', () => {
    const rule = fc.record({
      from: fc.string({ maxLength: 20 }),
      to: fc.array(fc.string({ maxLength: 20 }), { maxLength: 3 }),
    })
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 4 }), map => {
        try {
          for (const endpoint of registryEndpoints(map, keycloak))
            expect(endpoint.baseUrl).toMatch(/^https?:\/\/[^/]+$/)
        } catch (error) {
          expect(error).toBeInstanceOf(AirgapError)
        }
      }),
    )
  })
})

describe('a rule', () => {
  it.each([
    ['docker.io', 'https://u:p4/ss@mirror.example/x'],
    ['docker.io', 'https://u:12/p4ss@mirror.example/x'],
    ['docker.io', 'ftp://mirror.example'],
    ['docker.io', 'http://mirror.example:99999'],
    ['docker.io', 'mirror example'],
    ['docker.io', 'https://mirror.example/x?a=p4ss'],
    ['https://files.example/?sig=p4ss', 'mirror.example'],
    ['docker io', 'mirror.example'],
  ])('%s = %s is refused before anything is fetched, without its password', (from, to) => {
    try {
      checkSourceRule({ from, to: ['quay.io', to] })
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'USAGE' })
      expect(JSON.stringify(error)).not.toMatch(/p4|ss@/)
    }
  })

  it.each([
    ['docker.io/bitnami', 'http://[::1]:5000/docker.io/'],
    ['https://files.example/pub/', 'https://mirror.example/a@b'],
  ])('%s = %s is accepted', (from, to) => {
    expect(checkSourceRule({ from, to: [to] })).toBeUndefined()
  })
})
