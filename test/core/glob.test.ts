import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { globMatcher, isGlob } from '../../src/core/glob.ts'

describe('globMatcher', () => {
  it.each([
    ['kernel-*', 'kernel-core', true],
    ['kernel-*', 'kernel', false],
    ['lib*', 'libfoo/bar', true],
    ['*.pyc', '.hidden.pyc', true],
    ['libstdc++*', 'libstdc++-devel', true],
    ['a.b', 'axb', false],
    ['a{b,c}', 'ab', false],
    ['a{b,c}', 'a{b,c}', true],
    ['!(a)', '!(a)', true],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['a?c', 'a한c', true],
    ['python3[0-9]', 'python39', true],
    ['python3[!0-9]*', 'python3x', true],
    ['python3[^0-9]*', 'python39', false],
    ['[]a]', ']', true],
    ['[!]a]', 'b', true],
    ['[a-]', '-', true],
    ['[[:digit:]x]*', '9', true],
    ['[[:digit:]x]*', 'y', false],
    ['[', '[', true],
    ['[abc', '[abc', true],
    ['a\\*', 'a*', true],
    ['a\\*', 'ab', false],
    ['[\\]]', ']', true],
    ['', '', true],
    ['', 'a', false],
    ['**', '', true],
    ['*', 'a/b', true],
  ])('%s and %s: %s', (pattern, text, matches) => {
    expect(globMatcher(pattern)(text)).toBe(matches)
  })

  it.each([
    ['*.tar', 'a.tar', true],
    ['*.tar', 'a/b.tar', false],
    ['a?b', 'a/b', false],
    ['a[/]b', 'a/b', false],
    ['a/**', 'a/b/c', true],
    ['a/**', 'a', false],
    ['a**b', 'a/x/b', true],
    ['**/build', 'build', true],
    ['**/build', 'a/b/build', true],
    ['**/build', 'a/rebuild', false],
    ['a/**/b', 'a/b', true],
    ['a/**/b', 'a/x/y/b', true],
    ['a/**/b', 'ab', false],
    ['x**/b', 'xb', false],
  ])('paths: %s and %s: %s', (pattern, text, matches) => {
    expect(globMatcher(pattern, { paths: true })(text)).toBe(matches)
  })

  it('paths: matches as the regular expression of the pattern does', () => {
    const source = (pattern: string) =>
      pattern
        .split(/((?<=^|\/)\*{2,}\/|\*+)/)
        .map(part => {
          if (/^\*\*+\/$/.test(part)) return '(?:.*/)?'
          if (part.startsWith('**')) return '.*'
          return part === '*' ? '[^/]*' : part.replace(/[.+?^${}()|[\]\\/]/g, '\\$&')
        })
        .join('')
    const some = (max: number, ...from: string[]) =>
      fc.array(fc.constantFrom(...from), { maxLength: max }).map(parts => parts.join(''))
    const pattern = some(6, 'a', 'b', '/', '*', '**', '.', '(', '한', '\n', '🚀')
    fc.assert(
      fc.property(pattern, some(8, 'a', 'b', '/', '.', '(', '한', '\n', '🚀'), (written, text) => {
        const expected = new RegExp(`^${source(written)}$`, 'su').test(text)
        expect(globMatcher(written, { paths: true })(text)).toBe(expected)
      }),
      { numRuns: 2_000 },
    )
  })

  it('matches as the fnmatch of Python does', () => {
    const pattern = fc.stringMatching(/^(?:[ab.*?-]|\[[!]?[a-c.]{1,3}\]){0,8}$/)
    const text = fc.stringMatching(/^[abc.-]{0,8}$/)
    const cases = fc.sample(fc.tuple(pattern, text), { numRuns: 3_000, seed: 7 })
    const script =
      'import fnmatch,json,sys\nprint(json.dumps([fnmatch.fnmatchcase(t,p) for p,t in json.load(sys.stdin)]))'
    const expected = JSON.parse(
      execFileSync('python3', ['-c', script], { input: JSON.stringify(cases), encoding: 'utf8' }),
    )
    expect(cases.map(([p, t]) => globMatcher(p)(t))).toEqual(expected)
  })

  it.each([
    ['*a*a*a*a*a*a*b', 'a'.repeat(10_000)],
    [`${'*a'.repeat(200)}*b`, 'a'.repeat(10_000)],
    [`${'**/'.repeat(200)}b`, 'a/'.repeat(5_000)],
    ['['.repeat(100_000), 'a'],
    ['[a'.repeat(50_000), 'a'],
    ['[[:a'.repeat(20_000), 'a'],
  ])('takes no long time: %#', (pattern, text) => {
    const started = performance.now()
    expect(globMatcher(pattern, { paths: true })(text)).toBe(false)
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  it('knows which texts are patterns', () => {
    expect(['a*', 'a?', 'a[b]', 'a', 'a.b+c'].map(isGlob)).toEqual([true, true, true, false, false])
  })
})
