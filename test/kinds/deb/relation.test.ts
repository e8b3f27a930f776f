import { describe, expect, it } from 'vitest'
import { formatRelation, parseRelations, satisfiesVersion } from '../../../src/kinds/deb/relation.ts'

const parse = (text: string) => parseRelations(text, 'x')

describe('package relations', () => {
  it('are read with alternatives, versions and qualifiers', () => {
    expect(parse('a, b (>= 1.0) | c:any(<<2) ,\n d:amd64 (= 1:2~3-4)')).toEqual([
      [{ name: 'a' }],
      [
        { name: 'b', operator: '>=', version: '1.0' },
        { name: 'c', qualifier: 'any', operator: '<<', version: '2' },
      ],
      [{ name: 'd', qualifier: 'amd64', operator: '=', version: '1:2~3-4' }],
    ])
    expect(parse('a (< 1), b (> 2), ')).toEqual([
      [{ name: 'a', operator: '<=', version: '1' }],
      [{ name: 'b', operator: '>=', version: '2' }],
    ])
  })

  it.each([
    'a b',
    'a (1)',
    'a (>= )',
    'a |',
    '(>= 1)',
    'a [amd64]',
    'a <!nocheck>',
    'a (>= 1',
    'a;b',
    '${x}',
  ])('refuses %j', text => {
    expect(() => parse(text)).toThrow(/not a package relation/)
  })

  it('are written as Debian writes them', () => {
    const text = 'b (>= 1.0) | c:any (<< 2)'
    expect(parse(text)[0]!.map(formatRelation).join(' | ')).toBe(text)
  })

  it.each([
    ['<<', '1', true],
    ['<<', '2', false],
    ['<=', '2', true],
    ['=', '2', true],
    ['=', '2-1', false],
    ['>=', '2', true],
    ['>=', '2~', false],
    ['>>', '2', false],
    ['>>', '2+b1', true],
  ] as const)('%s 2 against %s: %s', (operator, version, expected) => {
    expect(satisfiesVersion({ name: 'a', operator, version: '2' }, version)).toBe(expected)
  })
})
