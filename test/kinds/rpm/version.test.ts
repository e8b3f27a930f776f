import { describe, expect, it } from 'vitest'
import {
  debianPairs,
  differencesFromDpkg,
  differencesFromRpm,
  rpmPairs,
} from '../../../scripts/lib/agreement/compare-versions.ts'
import { randomOf } from '../../../scripts/lib/upstreams/seeded-random.ts'
import { compareSegments } from '../../../src/kinds/rpm/rpm-version.ts'
import { missing } from '../deb/support/programs.ts'

describe('rpm versions', () => {
  // rpm's own test suite (tests/rpmvercmp.at) has these cases
  it.each([
    ['1.0', '1.0', 0],
    ['2.0.1a', '2.0.1', 1],
    ['5.5p10', '5.5p1', 1],
    ['10xyz', '10.1xyz', -1],
    ['xyz10', 'xyz10.1', -1],
    ['xyz.4', '8', -1],
    ['5.5p2', '5.6p1', -1],
    ['6.0.rc1', '6.0', 1],
    ['10b2', '10a1', 1],
    ['1.0010', '1.9', 1],
    ['1.05', '1.5', 0],
    ['4.999.9', '5.0', -1],
    ['20101121', '20101122', -1],
    ['2_0', '2.0', 0],
    ['1.0~rc1', '1.0', -1],
    ['1.0~rc1~git123', '1.0~rc1', -1],
    ['1.0^', '1.0', 1],
    ['1.0^git1', '1.01', -1],
    ['1.0^20160101', '1.0.1', -1],
    ['1.0~rc1^git1', '1.0~rc1', 1],
    ['1.0^git1~pre', '1.0^git1', -1],
    ['1.1.', '1.1.', 0],
    ['', '1', -1],
  ] as const)('fault 40: %s against %s: %i', (a, b, order) => {
    expect(compareSegments(a, b)).toBe(order)
    expect(compareSegments(b, a)).toBe(order === 0 ? 0 : -order)
  })

  it.skipIf(missing('rpm').length > 0)(
    'fault 40: 20,000 random pairs as rpm orders them (needs rpm)',
    async () => {
      expect(await differencesFromRpm(rpmPairs(20_000, randomOf(1)))).toEqual([])
    },
  )

  it.skipIf(missing('rpm').length > 0)('a wrong order would be seen (needs rpm)', async () => {
    expect(await differencesFromRpm([['1.0', '1.1', 1]])).toEqual(['1.0 1 1.1'])
  })
})

describe('Debian versions', () => {
  it.skipIf(missing('dpkg').length > 0)(
    'fault 40: 1,000 random pairs as dpkg orders them (needs dpkg)',
    async () => {
      expect(await differencesFromDpkg(debianPairs(1000, randomOf(1)))).toEqual([])
      expect(await differencesFromDpkg([['1.0', '1.1', 1]])).toEqual(['1.0 1 1.1'])
    },
  )
})
