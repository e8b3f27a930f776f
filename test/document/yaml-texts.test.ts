import { describe, expect, it } from 'vitest'
import { readYamlTexts } from '../../src/document/yaml-texts.ts'

describe('YAML of an upstream', () => {
  it.each<[string, unknown]>([
    ['a: 1.10\nb: yes\nc: 0755\nd: 2020-01-01\n', { a: '1.10', b: 'yes', c: '0755', d: '2020-01-01' }],
    [
      'a: null\nb: ~\nc:\nd: "null"\ne: [null, x]\n',
      { a: null, b: null, c: null, d: 'null', e: [null, 'x'] },
    ],
    ['x: &x {a: 1}\ny: {<<: *x, b: 2}\n', { x: { a: '1' }, y: { a: '1', b: '2' } }],
    ['a: 1\n---\nb: 2\n', { a: '1' }],
    ['---\n# a\na: 1\n...\n', { a: '1' }],
    ['%YAML 1.1\n---\na: 1\n', { a: '1' }],
    ['a: |\n  ---\n  b\n', { a: '---\nb\n' }],
    ['', null],
  ])('is read as written: %j', (text, value) => expect(readYamlTexts(text)).toEqual(value))

  it('has duplicate keys where they are accepted: the last one counts', () => {
    expect(readYamlTexts('a: 1\na: 2\n', { duplicates: 'last' })).toEqual({ a: '2' })
    expect(() => readYamlTexts('a: 1\na: 2\n')).toThrow(/twice/)
  })

  it('has words instead of nulls where that is asked for', () => {
    expect(readYamlTexts('a:\nb: null\n', { nulls: 'text' })).toEqual({ a: '', b: 'null' })
  })

  it.each([
    ['nested too deeply', '['.repeat(20_000)],
    ['broken', 'a: [1'],
    ['with aliases of nothing', 'a: *b'],
    [
      'with aliases that multiply',
      `a: &a [x]\n${[...'bcdefghi'].map((key, i) => `${key}: &${key} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(', ')}]`).join('\n')}\n`,
    ],
  ])('is refused where it is %s', (_, text) => {
    expect(() => readYamlTexts(text)).toThrow(Error)
  })
})
