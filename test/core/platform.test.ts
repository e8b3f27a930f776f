import { describe, expect, it } from 'vitest'
import { AirgapError } from '../../src/core/errors.ts'
import { formatPlatform, parsePlatform, preferredPlatforms, readPlatform } from '../../src/core/platform.ts'

/** What a node of platform `wanted` pulls of an index with these platforms. */
const preferred = (wanted: string, offered: string[]) =>
  preferredPlatforms(parsePlatform(wanted), offered.map(parsePlatform)).map(i => offered[i])

describe('the platforms that a node prefers, as containerd selects them', () => {
  it.each([
    ['linux/arm64', ['linux/arm64/v8'], ['linux/arm64/v8']],
    ['linux/arm64', ['linux/arm/v7', 'linux/aarch64'], ['linux/aarch64']],
    ['linux/arm64', ['linux/arm/v6', 'linux/arm/v7', 'linux/386'], ['linux/arm/v7']],
    ['linux/arm64/v9', ['linux/arm64/v8.5', 'linux/arm64/v8'], ['linux/arm64/v8.5']],
    ['linux/arm64/v8.1', ['linux/arm64/v8.2'], []],
    ['linux/arm64/v77', ['linux/arm64', 'linux/arm/v7'], []],
    ['linux/arm/v7', ['linux/arm'], ['linux/arm']],
    ['linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6'], ['linux/arm/v6']],
    ['linux/arm/v6', ['linux/arm/v7'], []],
    ['linux/armhf', ['linux/arm/v7'], ['linux/arm/v7']],
    ['linux/armel', ['linux/arm/v7', 'linux/arm/v6'], ['linux/arm/v6']],
    ['linux/amd64', ['linux/arm64'], []],
    ['linux/amd64', ['linux/amd64/v3', 'linux/amd64/v1'], ['linux/amd64/v1']],
    ['linux/amd64', ['linux/amd64/v2'], []],
    ['linux/amd64', ['linux/386', 'linux/x86_64'], ['linux/x86_64']],
    ['linux/amd64', ['linux/i386'], ['linux/i386']],
    ['linux/amd64/v4', ['linux/amd64', 'linux/amd64/v2', 'linux/386'], ['linux/amd64/v2']],
    ['linux/amd64', ['linux/amd64', 'Linux/AMD64'], ['linux/amd64', 'Linux/AMD64']],
    ['linux/amd64', ['windows/amd64', 'darwin/amd64'], []],
    ['linux/amd64', ['linux(+sse9)/amd64'], []],
    ['linux(+sse9)/amd64', ['linux/amd64', 'linux(+sse9)/amd64'], ['linux(+sse9)/amd64']],
    [
      'windows/amd64',
      ['windows(10.0.17763.5)/amd64', 'windows(10.0.20348.5)/amd64'],
      ['windows(10.0.17763.5)/amd64', 'windows(10.0.20348.5)/amd64'],
    ],
    [
      'windows(10.0.26100.1)/amd64',
      ['windows(10.0.17763.5)/amd64', 'windows(10.0.20348.5)/amd64'],
      ['windows(10.0.20348.5)/amd64'],
    ],
    ['windows(10.0.17763.1)/amd64', ['windows(10.0.20348.5)/amd64'], []],
    ['windows/amd64', ['windows(+win32k)/amd64'], ['windows(+win32k)/amd64']],
  ])('%s of %j: %j', (wanted, offered, best) => {
    expect(preferred(wanted, offered)).toEqual(best)
    // the order of the index never matters
    expect(preferred(wanted, offered.toReversed()).toSorted()).toEqual(best.toSorted())
  })

  it('are read as Go programs write them', () => {
    const fields = {
      os: 'windows',
      architecture: 'amd64',
      variant: null,
      'os.version': '10.0',
      'os.features': null,
    }
    expect(readPlatform(fields)).toEqual({ os: 'windows', architecture: 'amd64', osVersion: '10.0' })
    for (const value of [null, undefined, 5, 'linux/amd64', { os: null, architecture: 7 }])
      expect(readPlatform(value)).toEqual({ os: '', architecture: '' })
  })

  it('have one text', () => {
    for (const text of [
      'linux/arm64/v8',
      'linux/arm64',
      'windows(10.0.17763.1+a+win32k)/amd64',
      'linux(+a%2Fb)/386',
    ])
      expect(formatPlatform(parsePlatform(text))).toBe(text)
    expect(formatPlatform(parsePlatform('macos/x86_64'))).toBe('darwin/amd64')
    // containerd reads these three so, too
    expect(formatPlatform(parsePlatform('linux/aarch64/8'))).toBe('linux/arm64/v8')
    expect(formatPlatform(parsePlatform('linux/i386/v1'))).toBe('linux/386')
    expect(formatPlatform(parsePlatform('linux/arm/7'))).toBe('linux/arm/v7')
  })

  it('are refused where they are not a platform', () => {
    for (const text of [
      'linux',
      'linux/',
      'a/b/c/d',
      'linux/am d64',
      'windows(%zz)/amd64',
      'windows(%ff)/amd64',
      '(1)/x',
    ])
      expect(() => parsePlatform(text)).toThrow(AirgapError)
  })
})
