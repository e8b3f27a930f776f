import { describe, expect, it } from 'vitest'
import { mergeValues } from '../../src/values/merge.ts'

const merge = (base: string, ours: string, theirs: string) =>
  mergeValues({ base, ours, theirs, name: 'values.yaml' })

const bomb = `a: &a [${'x,'.repeat(9)}x]\n${'bcdefghi'.replace(
  /./g,
  (key, i: number) => `${key}: &${key} [${`*${'abcdefgh'[i]},`.repeat(9)}x]\n`,
)}`

describe('mergeValues', () => {
  it.each<[string, string, RegExp]>([
    ['aliases that multiply', bomb, /multiply/],
    ['an alias inside its own anchor', 'a: &a [*a]\n', /anchor/],
    ['aliases by the thousand', `a: &a 1\nb: [${'*a,'.repeat(2_000)}]\n`, /multiply/],
    [
      'depth by aliases',
      `a0: &a0 1\n${Array.from({ length: 200 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}]\n`).join('')}`,
      /deeply/,
    ],
    ['a duplicate key', 'a: 1\nb: 2\na: 3\n', /"a" appears twice/],
    ['a duplicate key in other quotes', 'm: {1: a, "1": b}\n', /"1" appears twice/],
    ['ten thousand brackets', `a: ${'['.repeat(10_000)}`, /YAML|not closed|deeply/],
    ['ten thousand brackets, closed', `a: ${'['.repeat(10_000)}${']'.repeat(10_000)}\n`, /YAML|deeply|stack/],
    [
      'two hundred maps',
      `${Array.from({ length: 200 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')}`,
      /deeply/,
    ],
    ['two documents', 'a: 1\n---\nb: 1\n', /several/],
    ['a list', '- 1\n', /map/],
    ['a text', 'a\n', /map/],
    ['a key that is a map', '{a: 1}: 1\n', /key/],
    ['an unknown tag', 'a: !python/object x\n', /tag/],
    ['a merge key of a text', 'a:\n  <<: x\n', /merge/],
    ['tabs', 'a:\n\tb: 1\n', /./],
    ['zeros at the end, as a power cut leaves them', 'a: 1\nb: two\0\0\0', /control characters/],
    ['keys nested without end', `a:\n  ${'? '.repeat(350)}a\n`, /key must be text|deeply/],
    ['an open quote', 'a: "x\n', /./],
    ['more than 4 MiB', `a: ${'x'.repeat(5 << 20)}\n`, /bytes/],
  ])('refuses %s in any of the three', (_, text, what) => {
    for (const which of [0, 1, 2]) {
      const [base, ours, theirs] = [0, 1, 2].map(i => (i === which ? text : 'a: 1')) as [
        string,
        string,
        string,
      ]
      expect(() => merge(base, ours, theirs)).toThrowError(
        expect.objectContaining({
          code: 'VALUES_INVALID',
          message: expect.stringMatching(what),
          item: expect.stringMatching(/^values\.yaml/),
          next: expect.any(String),
        }),
      )
    }
  })

  it('merges twenty thousand keys in reasonable time', () => {
    const text = (n: number) =>
      Array.from({ length: 20_000 }, (_, i) => `k${i}: ${i % 1000 === 0 ? n : 0}\n`).join('')
    expect(merge(text(0), text(1), `${text(0)}n: 1\n`).text).toBe(`${text(1)}n: 1\n`)
  })

  it('adds a key after a last line without line end that has changed, too', () => {
    expect(merge('a: {}', 'a:\n- b\nn: 1\nm: 2\n', 'a: {} # c').text).toBe('a: # c\n- b\nn: 1\nm: 2\n')
    expect(merge('a: 1\nz: 1', 'a: 1\nn: 1\nm: 2\n', 'a: 1\nz: 1').text).toBe('a: 1\nn: 1\nm: 2\n')
    expect(merge('m:\n  a: 1', 'm:\n  a: 1\n  b: 2\nn: 1\n', 'm:\n  a: 2').text).toBe(
      'm:\n  a: 2\n  b: 2\nn: 1\n',
    )
  })

  it('fills an empty key and keeps the comments after and below it', () => {
    const filled = 'a:   # of a\n  b: 1\n  # below\n\nz: 1\n'
    expect(merge('a:\nz: 1\n', 'a:\n  b: 1\nz: 1\n', 'a:   # of a\n  # below\n\nz: 1\n').text).toBe(filled)
  })

  it.each([
    [
      'a value that comes from an alias',
      'a: &x {k: 1}\nb: *x\n',
      'a: &x {k: 1}\nb: {k: 2}\n',
      'a: &x {k: 1}\nb: *x\nc: 1\n',
      'b.k',
    ],
    [
      'a value that comes from a merge key',
      'd: &d {x: 1}\nb: {<<: *d}\n',
      'd: &d {x: 1}\nb: {}\n',
      'd: &d {x: 1}\nb: {<<: *d, y: 1}\n',
      'b.x',
    ],
    [
      'an anchor whose alias keeps its value',
      'a: &x 1\nb: *x\n',
      'a: 2\nb: 1\n',
      'a: &x 1\nb: *x\nc: 1\n',
      'b',
    ],
    ['an anchor removed', 'a: &x 1\nb: *x\n', 'b: 1\n', 'a: &x 1\nb: *x\nc: 1\n', 'a'],
    [
      'an alias that only theirs has',
      'a: 1\nb: {k: 1}\n',
      'a: 1\nb: {k: 2}\n',
      'a: &x {k: 1}\nb: *x\n',
      'b.k',
    ],
    ['an explicit key', '? a\n: 1\n', 'n: 1\n', '? a\n: 1\nc: 1\n', 'a'],
  ])('refuses %s, naming the path', (_, base, ours, theirs, path) => {
    expect(() => merge(base, ours, theirs)).toThrowError(
      expect.objectContaining({
        code: 'VALUES_INVALID',
        message: expect.stringContaining(`${path} cannot be merged`),
        item: 'values.yaml',
        next: expect.stringContaining('on the site'),
      }),
    )
  })
})
