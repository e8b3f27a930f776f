import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyEdits, eolOf, lineEnd, lineStart } from '../../src/document/source-text.ts'

describe('applyEdits', () => {
  it('applies edits in the order of their offsets, those at one offset in the order given', () => {
    const edits = [
      { start: 4, end: 5, text: 'E' },
      { start: 2, end: 2, text: '1' },
      { start: 0, end: 1, text: '' },
      { start: 2, end: 2, text: '2' },
      { start: 2, end: 4, text: 'X' },
    ]
    expect(applyEdits('abcde', edits)).toBe('b12XE')
  })

  it.each([
    ['overlap', [0, 3], [2, 4]],
    ['contain one another', [0, 4], [1, 2]],
    ['end beyond the text', [3, 6], [0, 1]],
    ['end before their start', [3, 2], [0, 1]],
  ])('refuses edits that %s', (_, one, other) => {
    const edits = [one, other].map(([start, end]) => ({ start: start!, end: end!, text: 'x' }))
    expect(() => applyEdits('abcde', edits)).toThrowError(expect.objectContaining({ code: 'INTERNAL' }))
  })
})

describe('lines', () => {
  it.each([
    ['ab\ncd\n', 4, 3, 6],
    ['ab\r\ncd', 5, 4, 6],
    ['\uFEFFab\n', 2, 1, 4],
    ['', 0, 0, 0],
  ])('%j, offset %d', (text, at, start, end) => {
    expect([lineStart(text, at), lineEnd(text, at)]).toEqual([start, end])
  })

  it('joins to the text, from any offset', () => {
    const text = fc.array(fc.constantFrom('a', '\n', '\r\n', ' '), { maxLength: 8 }).map(all => all.join(''))
    fc.assert(
      fc.property(text, fc.nat(20), (text, offset) => {
        const at = Math.min(offset, text.length)
        const line = text.slice(lineStart(text, at), lineEnd(text, at))
        expect(line.slice(0, -1)).not.toContain('\n')
      }),
    )
  })

  it('have the line end of the first text that has one', () => {
    expect(eolOf('a', 'b\r\n', 'c\n')).toBe('\r\n')
    expect(eolOf('a\nb\r\n')).toBe('\n')
    expect(eolOf('\n')).toBe('\n')
    expect(eolOf('', 'a')).toBe('\n')
  })
})
