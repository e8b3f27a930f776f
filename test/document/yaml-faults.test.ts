import { describe, expect, it } from 'vitest'
import { parseDocument } from 'yaml'
import { yamlFaults } from '../../src/document/yaml-faults.ts'

const faults = (text: string) => yamlFaults(parseDocument(text, { uniqueKeys: false, logLevel: 'error' }))

describe('yamlFaults', () => {
  it.each([
    ['a: 1\nb: {c: 2, d: [3]}\n', []],
    ['a: 1\nb: 2\na: 3\n', [[10, 'twice']]],
    ['x:\n  - {a: 1, "a": 2}\n', [[14, 'twice']]],
    ['1: a\n"1": b\n', [[5, 'twice']]],
    ['{a: b}: c\n', [[0, 'text']]],
    ['x: &k v\n*k : c\n', [[8, 'text']]],
    ['a: *b\nb: &b 1\nc: *b\n', [[3, '&b before']]],
    ['a: &b 1\nc: [*b, *b]\n', []],
    ['', []],
  ])('%j', (text, wanted) => {
    expect(faults(text).map(({ offset, what }) => [offset, what])).toEqual(
      wanted.map(([offset, what]) => [offset, expect.stringContaining(String(what))]),
    )
  })

  it('takes time that grows linearly with the text', () => {
    const keys = Array.from({ length: 20_000 }, (_, i) => `k${i}: &a${i} 1\n`).join('')
    const document = parseDocument(`${keys}k7: 1\n`, { uniqueKeys: false })
    const started = performance.now()
    expect(yamlFaults(document)).toHaveLength(1)
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  it('stops at too many aliases', () => {
    const found = faults(`x: &x 1\ny: [${'*x, '.repeat(5_000)}]\n`)
    expect(found.map(({ what }) => what)).toEqual(['more than 1000 aliases'])
  })
})
