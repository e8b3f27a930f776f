import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Digest } from '../../src/core/digest.ts'
import { AirgapError } from '../../src/core/errors.ts'
import { refuseExpired } from '../../src/signature/expiry.ts'
import { publicKeyOf } from '../../src/signature/public-key.ts'
import { printTime, type Statement } from '../../src/signature/statement.ts'
import { withKey, withoutKey, withRotation, withThreshold } from '../../src/site/trust-changes.ts'
import { parseTrust, printTrust, type TrustRecord } from '../../src/site/trust-record.ts'
import { refuseRollback, trustedSigners, withAccepted } from '../../src/site/trust-rules.ts'

/** Any 32 bytes serve: nothing is verified here. */
const keys = Array.from({ length: 6 }, (_, i) =>
  publicKeyOf(createHash('sha256').update(`key ${i}`).digest()),
)
const now = new Date('2026-11-27T00:00:00Z')
const change = { now, by: 'kim' }
const path = '/media/usb/stack.tar'

/** A record with the first `count` of the keys. */
function recordOf(count: number, threshold: number): TrustRecord {
  let record: TrustRecord | undefined
  for (const key of keys.slice(0, count)) record = withKey(record, key, change)
  return withThreshold(record!, threshold)
}

const digestOf = (text: string): Digest => `sha256:${createHash('sha256').update(text).digest('hex')}`

function bundle(version: string, built = '2026-11-01T00:00:00Z', expires?: string): Statement {
  const index = digestOf(`${version} ${built}`)
  const fields = { product: 'astrago-airgap', name: 'stack', version, index, built, files: [] } as const
  return expires === undefined ? { ...fields, files: [] } : { ...fields, files: [], expires }
}

function codeOf(run: () => unknown): string {
  try {
    run()
    return 'accepted'
  } catch (error) {
    if (error instanceof AirgapError) return error.code
    throw error
  }
}

const subset = fc.subarray(keys)
const threshold = fc.integer({ min: 1, max: 3 })

describe('the threshold', () => {
  it('counts the keys of the site that signed, each once', () => {
    fc.assert(
      fc.property(subset, threshold, fc.integer({ min: 0, max: 3 }), (signers, required, repeated) => {
        const record = recordOf(3, required)
        const twice = Array.from({ length: repeated }, () => signers).flat()
        const own = signers.filter(key => keys.slice(0, 3).includes(key)).length
        const code = codeOf(() => trustedSigners(record, [...signers, ...twice], { path }))
        expect(code).toBe(own >= required ? 'accepted' : 'UNTRUSTED')
      }),
    )
  })

  it('says which signature is missing, and which key is unknown or no longer trusted', () => {
    const two = recordOf(3, 2)
    expect(() => trustedSigners(two, [keys[1]!], { path })).toThrow(
      expect.objectContaining({
        message: 'the bundle has 1 of the 2 signatures that are required',
        likely: expect.stringContaining(keys[2]!.short),
      }),
    )
    expect(() => trustedSigners(two, [keys[4]!], { path })).toThrow(
      expect.objectContaining({ likely: expect.stringContaining(keys[4]!.short) }),
    )
    const fewer = withoutKey(recordOf(3, 1), keys[0]!.id, change)
    expect(() => trustedSigners(fewer, [keys[0]!], { path })).toThrow(
      expect.objectContaining({
        message: 'the bundle is signed with a key that this site no longer trusts',
        likely: expect.stringContaining('2026-11-27 by kim'),
      }),
    )
  })

  it('stays as it is whatever bundles are accepted', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(9), fc.nat(9))), threshold, (versions, required) => {
        let record = recordOf(3, required)
        const before = { keys: record.keys, threshold: record.threshold }
        for (const [major, minor] of versions)
          record = withAccepted(record, bundle(`${major}.${minor}.0`), { signers: record.keys, ...change })
        expect({ keys: record.keys, threshold: record.threshold }).toEqual(before)
      }),
    )
  })
})

describe('an older bundle', () => {
  it('is refused, whatever was accepted in which order, unless the operator goes back deliberately', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1 }), fc.nat(20), (accepted, next) => {
        let record = recordOf(1, 1)
        for (const minor of accepted)
          record = withAccepted(record, bundle(`1.${minor}.0`), { signers: record.keys, ...change })
        const highest = Math.max(...accepted)
        const offered = { ...bundle(`1.${next}.0`, '2026-11-02T00:00:00Z') }
        const judge = (deliberate: boolean) =>
          codeOf(() => refuseRollback(record, offered, { path, deliberate }))
        expect(judge(false)).toBe(next >= highest ? 'accepted' : 'ROLLBACK')
        expect(judge(true)).toBe('accepted')
      }),
    )
  })

  it('is refused where it is an earlier build of the same version', () => {
    const record = withAccepted(recordOf(1, 1), bundle('1.0.0', '2026-11-10T00:00:00Z'), {
      signers: [],
      ...change,
    })
    const judge = (built: string) =>
      codeOf(() => refuseRollback(record, bundle('1.0.0', built), { path, deliberate: false }))
    expect(judge('2026-11-09T00:00:00Z')).toBe('ROLLBACK')
    expect(judge('2026-11-11T00:00:00Z')).toBe('accepted')
  })

  it('is accepted where the site went back to it deliberately, or where it has another bundle of that version', () => {
    const [old, next] = [bundle('1.0.0'), bundle('2.0.0', '2026-11-10T00:00:00Z')]
    const arm = bundle('2.0.0', '2026-11-09T00:00:00Z')
    let record = recordOf(1, 1)
    for (const one of [arm, next, old]) record = withAccepted(record, one, { signers: [], ...change })
    const judge = (one: Statement) => codeOf(() => refuseRollback(record, one, { path, deliberate: false }))
    expect([old, arm, next].map(judge)).toEqual(['accepted', 'accepted', 'accepted'])
    // not a third version in between
    expect(judge(bundle('1.5.0'))).toBe('ROLLBACK')
  })

  it('of the same version is accepted for other machines, not for some of the same', () => {
    const [amd64, arm64] = ['linux/amd64', 'linux/arm64']
    const accept = (record: TrustRecord, one: Statement, platforms?: string[]) =>
      withAccepted(record, one, { signers: [], platforms, ...change })
    const late = bundle('1.0.0', '2026-11-10T00:00:00Z')
    const judge = (record: TrustRecord, platforms: string[], version = '1.0.0') => {
      const offered = { ...bundle(version, '2026-11-09T00:00:00Z'), platforms }
      return codeOf(() => refuseRollback(record, offered, { path, deliberate: false }))
    }
    const record = accept(recordOf(1, 1), late, [amd64])
    expect(judge(record, [arm64])).toBe('accepted')
    expect([[amd64], [amd64, arm64], []].map(platforms => judge(record, platforms))).toEqual(
      Array.from({ length: 3 }, () => 'ROLLBACK'),
    )
    // an older version is older, whatever it is for
    expect(judge(record, [arm64], '0.9.0')).toBe('ROLLBACK')
    // records of earlier programs do not say what a bundle was for
    expect(judge(accept(recordOf(1, 1), late), [arm64])).toBe('ROLLBACK')
    const both = accept(record, bundle('1.0.0', '2026-11-09T12:00:00Z'), [arm64])
    expect(judge(both, [arm64])).toBe('ROLLBACK')
    const middle = { ...bundle('1.0.0', '2026-11-09T18:00:00Z'), platforms: [arm64] }
    expect(codeOf(() => refuseRollback(both, middle, { path, deliberate: false }))).toBe('accepted')
  })

  it('is one that is older than what the site had before it got its first key', () => {
    const before = [{ name: 'stack', version: '2.0.0', digest: digestOf('unsigned'), built: null }]
    const record = withKey(undefined, keys[0]!, { ...change, before })
    const judge = (version: string) =>
      codeOf(() => refuseRollback(record, bundle(version), { path, deliberate: false }))
    expect([judge('1.9.0'), judge('2.0.0'), judge('2.1.0')]).toEqual(['ROLLBACK', 'accepted', 'accepted'])
  })
})

describe('an expiry', () => {
  const built = '2026-11-01T00:00:00Z'
  const expires = '2027-11-01T00:00:00Z'
  const judge = (clock: string, latest: string | null = null, one = bundle('1.0.0', built, expires)) => {
    try {
      refuseExpired(one, { path, now: new Date(clock), latest })
      return 'accepted'
    } catch (error) {
      if (!(error instanceof AirgapError)) throw error
      return `${error.code}: ${error.likely}`
    }
  }

  it('is compared with the clock', () => {
    expect(judge('2027-10-31T23:59:59Z')).toBe('accepted')
    expect(judge('2027-11-01T00:00:00Z')).toMatch(/^EXPIRED: the medium is old/)
    expect(judge('2036-01-01T00:00:00Z', null, bundle('1.0.0', built))).toBe('accepted')
  })

  it('tells a clock that is wrong by years from an old medium, as far as signed times allow', () => {
    // the battery is empty
    expect(judge('1970-01-01T00:00:00Z')).toMatch(/^CLOCK_WRONG/)
    expect(judge('2025-01-01T00:00:00Z')).toMatch(/^CLOCK_WRONG/)
    // half a day: time zones, and a builder whose clock is ahead
    expect(judge('2026-10-31T12:00:01Z')).toBe('accepted')
    expect(judge('2038-01-19T00:00:00Z')).toMatch(/^EXPIRED: it is old, or the clock of this host is wrong/)
  })

  it('is over once the site has accepted a bundle that was built later, whatever the clock says', () => {
    expect(judge('2026-12-01T00:00:00Z', '2027-11-01T00:00:00Z')).toMatch(/^EXPIRED: this site has accepted/)
    expect(judge('2026-12-01T00:00:00Z', '2027-03-01T00:00:00Z')).toMatch(/^CLOCK_WRONG/)
  })

  it('of later bundles is not affected by a builder whose clock was ahead by years', () => {
    const record = withAccepted(recordOf(1, 1), bundle('1.0.0', '2040-01-01T00:00:00Z'), {
      signers: [],
      ...change,
    })
    expect(judge(printTime(now), record.latest)).toBe('accepted')
  })

  it('is never passed by a frozen medium: accepted implies not expired by the clock and by what was signed', () => {
    const time = fc
      .integer({ min: Date.parse('2025-01-01'), max: Date.parse('2040-01-01') })
      .map(ms => new Date(ms))
    fc.assert(
      fc.property(time, time, time, time, (clock, made, until, seen) => {
        const [built, expires] = [made, until].map(printTime).sort() as [string, string]
        if (built === expires) return
        const one = bundle('1.0.0', built, expires)
        const verdict = judge(printTime(clock), printTime(seen), one)
        const passed = [printTime(clock), printTime(seen)].some(moment => moment >= expires)
        if (passed) expect(verdict).not.toBe('accepted')
      }),
    )
  })
})

describe('a rotation', () => {
  const rotation = (made: string, next: typeof keys, required = 1) => ({
    made,
    threshold: required,
    keys: next,
  })
  const rotate = (record: TrustRecord, signers: typeof keys, ...args: Parameters<typeof rotation>) =>
    withRotation(record, rotation(...args), { signers, path, ...change })

  it('needs as many signatures of the present keys as a bundle, and never lowers the threshold', () => {
    fc.assert(
      fc.property(subset, subset, threshold, threshold, (signers, next, required, stated) => {
        fc.pre(next.length >= stated)
        const record = recordOf(3, required)
        const own = signers.filter(key => keys.slice(0, 3).includes(key)).length
        let rotated: TrustRecord | undefined
        const code = codeOf(() => {
          rotated = rotate(record, signers, '2026-11-20T00:00:00Z', next, stated)
        })
        const allowed = own >= required && next.length >= required
        expect(code).toBe(allowed ? 'accepted' : 'UNTRUSTED')
        if (rotated === undefined) return
        expect(rotated.threshold).toBe(Math.max(required, stated))
        expect(new Set(rotated.keys.map(({ key }) => key.fingerprint))).toEqual(
          new Set(next.map(({ fingerprint }) => fingerprint)),
        )
        expect(parseTrust(printTrust(rotated, 'host'), { path, machine: 'host' })).toEqual(rotated)
      }),
    )
  })

  it('may keep a key that was removed here, and that a person confirmed again', () => {
    const [first, second, third] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]]
    const removed = withoutKey(recordOf(2, 1), second.id, change)
    const judge = (record: TrustRecord) =>
      codeOf(() => rotate(record, [first], '2026-11-20T00:00:00Z', [second, third], 1))
    expect(judge(removed)).toBe('UNTRUSTED')
    expect(judge(withKey(removed, second, change))).toBe('accepted')
  })

  it('is refused if the new key signed it, and not an old one', () => {
    const record = recordOf(1, 1)
    expect(codeOf(() => rotate(record, [keys[4]!], '2026-11-20T00:00:00Z', [keys[4]!]))).toBe('UNTRUSTED')
  })

  it('is refused if it is not later than the last one, or brings a removed key back', () => {
    const first = rotate(recordOf(1, 1), [keys[0]!], '2026-11-20T00:00:00Z', [keys[1]!])
    const again = (made: string, next: typeof keys) => codeOf(() => rotate(first, [keys[1]!], made, next))
    expect(again('2026-11-20T00:00:00Z', [keys[2]!])).toBe('ROLLBACK')
    expect(again('2026-11-19T00:00:00Z', [keys[2]!])).toBe('ROLLBACK')
    expect(again('2026-11-21T00:00:00Z', [keys[0]!])).toBe('UNTRUSTED')
    expect(again('2026-11-21T00:00:00Z', [keys[2]!])).toBe('accepted')
  })
})

describe('changes by a person', () => {
  it('refuse to remove the last key, to go below the threshold, and to add a key or a name twice', () => {
    const usage = (run: () => unknown) => expect(codeOf(run)).toBe('USAGE')
    usage(() => withoutKey(recordOf(1, 1), keys[0]!.id, change))
    usage(() => withoutKey(recordOf(2, 2), keys[0]!.id, change))
    usage(() => withoutKey(recordOf(2, 1), 'nobody', change))
    usage(() => withKey(recordOf(1, 1), keys[0]!, change))
    usage(() => withKey(recordOf(1, 1), keys[1]!, { ...change, name: keys[0]!.id }))
    usage(() => withKey(undefined, keys[1]!, { ...change, name: '-x' }))
    usage(() => withThreshold(recordOf(2, 1), 3))
    usage(() => withThreshold(recordOf(2, 1), 0))
  })

  it('find a key by its name, its short fingerprint with and without blanks, and its fingerprint', () => {
    const record = withKey(recordOf(1, 1), keys[1]!, { ...change, name: 'second' })
    const { short, fingerprint } = keys[1]!
    for (const text of ['second', short, short.replaceAll(' ', '').toLowerCase(), fingerprint])
      expect(withoutKey(record, text, change).keys.map(({ key }) => key)).toEqual([keys[0]])
  })
})
