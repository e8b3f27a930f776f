import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareVersions, isVersion, splitVersion } from '../../src/core/debian-version.ts'
import { missing, must, run } from '../kinds/deb/support/programs.ts'

const noDpkg = (await run('perl', ['-MDpkg::Version', '-e', '1'])).status !== 0
const digits = fc.array(fc.constantFrom(...'0019'), { maxLength: 4 }).map(chars => chars.join(''))
const part = fc
  .array(fc.oneof(digits, fc.constantFrom('~', '~~', '+', '.', 'a', 'b', 'Z', 'rc', 'deb12u', 'git')), {
    maxLength: 6,
  })
  .map(parts => parts.join(''))
const version = fc
  .record({
    epoch: fc.constantFrom('', '', '0:', '1:', '00:', '10:'),
    upstream: part,
    revision: fc.option(fc.oneof(part, fc.constant('0'), fc.constant('0~')), { nil: undefined }),
  })
  .map(({ epoch, upstream, revision }) => `${epoch}0${upstream}${revision ? `-${revision}` : ''}`)

describe('Debian versions', () => {
  it.each([
    ['1.0', '1.0', 0],
    ['1.0', '1.0-0', 0],
    ['0:1.0', '1.0', 0],
    ['1.0', '1.00', 0],
    ['1.0-', '1.0', 0],
    ['1:0.1', '9.9', 1],
    ['1.0~rc1', '1.0', -1],
    ['1.0~~', '1.0~', -1],
    ['1.0~', '1.0', -1],
    ['1.0-1~bpo', '1.0-1', -1],
    ['1.0+b1', '1.0', 1],
    ['1.0a', '1.0+', -1],
    ['1.0a', '1.0', 1],
    ['1.0-1+deb12u9', '1.0-1+deb12u10', -1],
    ['20240101000000000000001', '20240101000000000000002', -1],
    ['1-2-3', '1-2-4', -1],
  ] as const)('fault 40: %s against %s: %i', (a, b, order) => {
    expect(compareVersions(a, b)).toBe(order)
    expect(compareVersions(b, a)).toBe(order === 0 ? 0 : -order)
  })

  it('are split at the first colon and the last dash', () => {
    expect(splitVersion('2:1:3-4-5')).toEqual({ epoch: '2', upstream: '1:3-4', revision: '5' })
    expect(splitVersion('1.0')).toEqual({ epoch: '0', upstream: '1.0', revision: '' })
  })

  it('are told from what is none', () => {
    for (const good of ['1', '1:2.0+b~1-3', '0~', '2024.1-1ubuntu0.22.04.1'])
      expect(isVersion(good)).toBe(true)
    for (const bad of ['', 'a b', '1;2', '>=1', '1\n', ':1', '$(x)']) expect(isVersion(bad)).toBe(false)
  })

  it('are ordered totally', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(compareVersions(a, b) + compareVersions(b, a)).toBe(0)
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0)
      }),
      { numRuns: 2_000 },
    )
  })

  it.skipIf(noDpkg)(
    'fault 40: 6,000 random pairs are ordered as dpkg does (needs perl with Dpkg::Version)',
    async () => {
      const pairs = fc.sample(fc.tuple(version, version), 6_000)
      const script =
        'while (<STDIN>) { chomp; my ($a, $b) = split / /; print version_compare_part_all($a, $b), "\\n" }' +
        'sub version_compare_part_all { return Dpkg::Version->new($_[0]) <=> Dpkg::Version->new($_[1]) }'
      const input = pairs.map(pair => `${pair.join(' ')}\n`).join('')
      const orders = (await must('perl', ['-MDpkg::Version', '-e', script], { input }))
        .trim()
        .split('\n')
        .map(Number)
      expect(orders).toHaveLength(pairs.length)
      const wrong = pairs.filter(([a, b], i) => compareVersions(a, b) !== orders[i])
      expect(wrong).toEqual([])
    },
  )

  it.skipIf(missing('dpkg').length > 0)(
    'fault 40: as dpkg --compare-versions itself has it (needs dpkg)',
    async () => {
      const pairs = fc.sample(fc.tuple(version, version), 150)
      const script =
        'while read -r a b; do if dpkg --compare-versions "$a" lt "$b"; then echo -1; ' +
        'elif dpkg --compare-versions "$a" eq "$b"; then echo 0; else echo 1; fi; done'
      const input = pairs.map(pair => `${pair.join(' ')}\n`).join('')
      const orders = (await must('sh', ['-c', script], { input })).trim().split('\n').map(Number)
      expect(pairs.map(([a, b]) => compareVersions(a, b))).toEqual(orders)
    },
  )
})
