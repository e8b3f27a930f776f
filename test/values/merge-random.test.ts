import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { AirgapError } from '../../src/core/errors.ts'
import { mergeValues } from '../../src/values/merge.ts'

const merge = (base: string, ours: string, theirs: string) =>
  mergeValues({ base, ours, theirs, name: 'values.yaml' })

type Tree = { [key: string]: unknown }

/** Merges plain objects in the same way. */
function mergeObjects(base: unknown, ours: unknown, theirs: unknown): unknown {
  if (isDeepStrictEqual(ours, theirs)) return ours
  if (isTree(ours) && isTree(theirs)) {
    const before = isTree(base) ? base : {}
    const result: Tree = {}
    for (const key of [...Object.keys(ours), ...Object.keys(theirs)]) {
      const value = mergeObjects(before[key], ours[key], theirs[key])
      if (value !== undefined) result[key] = value
    }
    return result
  }
  return isDeepStrictEqual(ours, base) ? theirs : ours
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

describe('mergeValues with random values', () => {
  const word = fc.constantFrom('a', 'b', 'c', 'd', 'some key', 'yes', '1.10')
  const scalar = fc.oneof(
    fc.constantFrom<unknown>(
      'yes',
      '1.10',
      '0x1F',
      'null',
      '~',
      '{{ x }}',
      'a\nb\n',
      '\n x',
      "it's",
      'x # y',
      '- z',
    ),
    fc.constantFrom<unknown>(0, 1, -7, 1.5, true, false, null, ''),
    fc.string({ maxLength: 12 }),
    fc.string({ unit: 'grapheme', maxLength: 6 }),
  )
  const { tree } = fc.letrec<{ node: unknown; tree: Tree }>(tie => ({
    node: fc.oneof({ maxDepth: 3 }, scalar, fc.array(tie('node'), { maxLength: 3 }), tie('tree')),
    tree: fc.dictionary(word, tie('node'), { maxKeys: 5 }),
  }))
  const style = fc.record({
    collectionStyle: fc.constantFrom('any', 'flow', 'block'),
    defaultStringType: fc.constantFrom(
      'PLAIN',
      'QUOTE_DOUBLE',
      'QUOTE_SINGLE',
      'BLOCK_LITERAL',
      'BLOCK_FOLDED',
    ),
    indent: fc.constantFrom(1, 2, 4),
    indentSeq: fc.boolean(),
    lineWidth: fc.constantFrom(0, 20),
    // so that an unquoted `yes` is not a text in either version
    version: fc.constant('1.1' as const),
  })
  const noise = fc.record({
    comment: fc.constantFrom('', '# head\n', '\n# head\n\n'),
    eol: fc.constantFrom('\n', '\r\n'),
    end: fc.boolean(),
  })
  const printed = fc.tuple(tree, style, noise).map(([values, options, { comment, eol, end }]) => {
    const body = Object.keys(values).length === 0 ? '' : stringify(values, options as object)
    const text = `${comment}${body}`.replaceAll('\n', eol)
    return end ? text : text.replace(/\r?\n$/, '')
  })
  // the printer sometimes writes invalid YAML
  const file = printed.filter(text => {
    try {
      parse(text)
      return true
    } catch {
      return false
    }
  })
  const plain = (text: string) => parse(text, { version: '1.2' }) ?? {}

  it('takes the other side to the byte where one has no changes', () => {
    fc.assert(
      fc.property(file, file, (base, other) => {
        expect(merge(base, base, other).text).toBe(other)
        expect(merge(base, other, base).text).toBe(other)
      }),
      { numRuns: 200 },
    )
  })

  it('has the values of a merge of objects, and merging again changes nothing', () => {
    fc.assert(
      fc.property(file, file, file, (base, ours, theirs) => {
        const { text } = merge(base, ours, theirs)
        expect(plain(text)).toEqual(mergeObjects(plain(base), plain(ours), plain(theirs)))
        expect(merge(theirs, text, theirs).text).toBe(text)
        expect(plain(merge(base, text, theirs).text)).toEqual(plain(text))
      }),
      { numRuns: 1000 },
    )
  })

  it("replaces only the bytes of the site's changes", () => {
    const piece = fc.record({
      above: fc.constantFrom('', '# above\n', '\n', '\n  # indented\n\n', '#\n# two\n'),
      key: fc.constantFrom('k%', '"k%"', "'k%'"),
      before: fc.constantFrom(' ', '   '),
      value: fc.constantFrom(
        'old',
        '"old"',
        "'old'",
        'old  one',
        '[ old,  1 ]',
        '{old: 1 }',
        '"o\n  ld"',
        '*a',
        '&k% old',
      ),
      behind: fc.constantFrom('', '  # behind', ' '),
      more: fc.constantFrom(
        '',
        '\n  # deeper',
        '\n',
        '\nn%:\n    - { a:  b }   # x',
        '\nt%: |+\n    # text\n\n',
      ),
      change: fc.constantFrom('new', '"new"', "'n''ew'", '[ new ,2]', '1.10', 'yes', 'none', 'none', 'none'),
    })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), fc.constantFrom('\n', '\r\n'), (pieces, eol) => {
        const all = pieces.map((it, i) => {
          const line = (value: string) =>
            `${it.above}${it.key}:${it.before}${value}${it.behind}${it.more}\n`.replaceAll('%', `${i}`)
          return { i, it, line }
        })
        const anchored = (it: (typeof pieces)[number]) => (it.value.startsWith('&') ? '&k% ' : '')
        const head = 'anchor: &a [ 1 ]\n'
        const theirs = (head + all.map(({ it, line }) => line(it.value)).join('')).replaceAll('\n', eol)
        const base = `${head}${all.map(({ it, i }) => `k${i}: ${it.value}\n`).join('')}`
        const written = ({ change, value }: (typeof pieces)[number]) => (change === 'none' ? value : change)
        const ours = `${head}${all.map(({ it, i }) => `k${i}: ${written(it)}\n`).join('')}`
        const expected = all.map(({ it, line }) =>
          line(it.change === 'none' ? it.value : anchored(it) + it.change),
        )
        expect(merge(base, ours, theirs)).toEqual({
          text: (head + expected.join('')).replaceAll('\n', eol),
          kept: all.flatMap(({ it, i }) => (it.change === 'none' ? [] : [`k${i}`])),
          conflicts: [],
        })
      }),
      { numRuns: 500 },
    )
  })

  it('either merges or refuses random lines', () => {
    const lines = fc
      .array(
        fc.constantFrom(
          'a: 1',
          'b: &x',
          '  c: 2',
          'd: *x',
          '  - e',
          '# f',
          '',
          'g: |',
          '  h',
          '<<: *x',
          'i: {j: 1}',
          'k:',
          '"l": "m',
          '---',
          '? n',
          '\to: 1',
          'p: &y 1',
          'q: *y',
        ),
        { maxLength: 10 },
      )
      .map(all => all.join('\n'))
    fc.assert(
      fc.property(lines, lines, lines, (base, ours, theirs) => {
        const values = (text: string) => parse(text, { merge: true }) ?? {}
        let text: string
        try {
          text = merge(base, ours, theirs).text
        } catch (error) {
          expect(error).toBeInstanceOf(AirgapError)
          expect(error).toMatchObject({ code: 'VALUES_INVALID' })
          return
        }
        expect(values(text)).toEqual(mergeObjects(values(base), values(ours), values(theirs)))
      }),
      { numRuns: 500 },
    )
  })
})
