import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { globMatches } from '../../../src/kinds/tree/glob.ts'

/** The same, written down as a regular expression. */
function oracle(pattern: string, text: string): boolean {
  const source = pattern
    .split(/(\*{2,}|\*)/)
    .map(part =>
      part === '*' ? '[^/]*' : part.startsWith('**') ? '.*' : part.replace(/[.+?^${}()|[\]\\/]/g, '\\$&'),
    )
    .join('')
  return new RegExp(`^${source}$`, 'su').test(text)
}

describe('a pattern', () => {
  it.each([
    ['*.bak', 'a.bak', true],
    ['*.bak', 'sub/a.bak', false],
    ['**.bak', 'sub/a.bak', true],
    ['sub/*/x', 'sub/a/x', true],
    ['sub/*/x', 'sub/a/b/x', false],
    ['sub/**/x', 'sub/a/b/x', true],
    ['**', '', true],
    ['*', '', true],
    ['', '', true],
    ['', 'a', false],
    ['a', 'A', false],
    ['한*', '한글.txt', true],
    ['🚀', '🚀', true],
  ])('%s, %s: %s', (pattern, text, matches) => {
    expect(globMatches(pattern, text)).toBe(matches)
  })

  it('matches what it says (property)', () => {
    const some = (max: number, ...from: string[]) =>
      fc.array(fc.constantFrom(...from), { maxLength: max }).map(parts => parts.join(''))
    fc.assert(
      fc.property(
        some(6, 'a', 'b', '/', '*', '**', '.', '(', '한', '\n'),
        some(8, 'a', 'b', '/', '.', '(', '한', '\n'),
        (pattern, text) => {
          expect(globMatches(pattern, text)).toBe(oracle(pattern, text))
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('of many stars ends', () => {
    const started = performance.now()
    expect(globMatches(`${'*a'.repeat(50)}b`, 'a'.repeat(1_000))).toBe(false)
    expect(performance.now() - started).toBeLessThan(1_000)
  })
})
