import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseChallenges } from '../../src/remote/www-authenticate.ts'

describe('WWW-Authenticate', () => {
  it('reads the headers of real registries', () => {
    const header =
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"'
    expect(parseChallenges(header)).toEqual([
      {
        scheme: 'bearer',
        parameters: {
          realm: 'https://auth.docker.io/token',
          service: 'registry.docker.io',
          scope: 'repository:a/b:pull,push',
        },
      },
    ])
  })

  it('reads several challenges, spaces, escapes, unquoted values, odd case', () => {
    expect(parseChallenges('Negotiate, BASIC Realm = "a \\"b\\", c" , bearer realm=x , service=y')).toEqual([
      { scheme: 'negotiate', parameters: {} },
      { scheme: 'basic', parameters: { realm: 'a "b", c' } },
      { scheme: 'bearer', parameters: { realm: 'x', service: 'y' } },
    ])
  })

  it('the first of two equal parameters counts, and none reaches a prototype', () => {
    const [challenge] = parseChallenges('Bearer realm="a",realm="b",__proto__="c"')
    expect(challenge?.parameters['realm']).toBe('a')
    expect(Object.getPrototypeOf(challenge?.parameters)).toBeNull()
  })

  it.each([undefined, '', '   ', '"', '=', ',,,', '\u0000'])('finds no challenge in %j', header => {
    expect(parseChallenges(header)).toEqual([])
  })

  it('parses any text quickly', () => {
    fc.assert(fc.property(fc.string({ maxLength: 200 }), text => Array.isArray(parseChallenges(text))))
    const begun = performance.now()
    for (const text of [
      'Bearer a="'.padEnd(100_000, '\\'),
      'a='.repeat(50_000),
      'Bearer '.repeat(20_000),
      ' ,'.repeat(50_000),
    ]) {
      parseChallenges(text)
    }
    expect(performance.now() - begun).toBeLessThan(500)
  })
})
