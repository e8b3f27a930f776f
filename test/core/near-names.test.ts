import { describe, expect, it } from 'vitest'
import { nearNames } from '../../src/core/near-names.ts'

describe('nearNames', () => {
  it.each([
    ['imges', ['images', 'charts'], ['images']],
    ['form', ['from', 'for', 'farm', 'fork', 'font'], ['from', 'farm', 'for']],
    ['jqq', ['jq', 'java', 'j'], ['jq']],
    ['externalip', ['externalIP'], ['externalIP']],
    ['FILES', ['files'], ['files']],
    ['abcdef', ['abdcef', 'abcdxx', 'abcxxx'], ['abdcef', 'abcdxx']],
    ['a', ['b', 'ab', 'abc'], ['ab', 'b']],
    ['same', ['same'], []],
    ['', ['a', 'ab'], ['a']],
  ])('%s of %j', (name, names, near) => {
    expect(nearNames(name, names)).toEqual(near)
  })

  it('with sameStart also names that begin alike, after the nearer ones', () => {
    expect(
      nearNames('libssl', ['libssl3t64', 'libssh', 'libssl-dev', 'openssl'], { sameStart: true }),
    ).toEqual(['libssh', 'libssl-dev', 'libssl3t64'])
    expect(nearNames('kernel-5.14', ['kernel', 'kernels'], { sameStart: true })).toEqual(['kernel'])
  })

  it('searches a distribution at once', () => {
    const names = Array.from({ length: 70_000 }, (_, i) => `lib${i.toString(36)}-perl`)
    const started = performance.now()
    expect(nearNames('libabc-pel', names)).toContain('libabc-perl')
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})
