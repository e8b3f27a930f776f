import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matchesEtag, matchesIfRange, parseRange } from '../../src/serve/range.ts'

describe('parseRange', () => {
  it.each([
    ['bytes=0-0', 10, { start: 0, end: 1 }],
    ['bytes=0-', 10, { start: 0, end: 10 }],
    ['BYTES=2-4', 10, { start: 2, end: 5 }],
    ['bytes=2-400', 10, { start: 2, end: 10 }],
    ['bytes=-3', 10, { start: 7, end: 10 }],
    ['bytes=-30', 10, { start: 0, end: 10 }],
    ['bytes=9-9', 10, { start: 9, end: 10 }],
    ['bytes=10-', 10, 'unsatisfiable'],
    ['bytes=5-4', 10, 'unsatisfiable'],
    ['bytes=-0', 10, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=-5', 0, 'unsatisfiable'],
    ['bytes=-', 10, 'ignored'],
    ['bytes=0-1,3-4', 10, 'ignored'],
    ['bytes=a-b', 10, 'ignored'],
    ['bytes=0x1-2', 10, 'ignored'],
    ['lines=0-1', 10, 'ignored'],
    ['bytes=99999999999999999999-', 10, 'ignored'],
    ['', 10, 'ignored'],
  ] as const)('%s of %i bytes', (header, size, expected) => {
    expect(parseRange(header, size)).toEqual(expected)
  })

  it('never exceeds the content', () => {
    const number = fc.oneof(fc.constant(''), fc.nat().map(String))
    fc.assert(
      fc.property(number, number, fc.nat(10_000), (first, last, size) => {
        const range = parseRange(`bytes=${first}-${last}`, size)
        if (typeof range === 'string') return
        expect(range.start).toBeGreaterThanOrEqual(0)
        expect(range.start).toBeLessThan(range.end)
        expect(range.end).toBeLessThanOrEqual(size)
      }),
    )
  })
})

it('matches entity tags weakly for If-None-Match, strongly for If-Range', () => {
  expect(matchesEtag('*', '"a"')).toBe(true)
  expect(matchesEtag('"b", W/"a"', '"a"')).toBe(true)
  expect(matchesEtag('"b"', '"a"')).toBe(false)
  expect(matchesIfRange('"a"', { etag: '"a"' })).toBe(true)
  expect(matchesIfRange('W/"a"', { etag: '"a"' })).toBe(false)
  expect(matchesIfRange('Tue, 01 Jan 1980 00:00:00 GMT', { etag: '"a"' })).toBe(false)
})
