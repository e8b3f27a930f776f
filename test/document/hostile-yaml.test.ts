import { describe, expect, it } from 'vitest'
import { readYaml, readYamlStream } from '../../src/document/parse-yaml.ts'
import { readYamlTexts } from '../../src/document/yaml-texts.ts'

const nested = (open: string, depth: number, close = '') =>
  `a:\n  ${open.repeat(depth)}x${close.repeat(depth)}\n`

describe('hostile YAML (fault 59, fault 110)', () => {
  it.each([
    ['keys that are keys', nested('? ', 350), 'a key must be text'],
    ['keys that are keys, as the fuzzer found them', nested('? ', 780), 'a key must be text'],
    ['keys in braces', nested('{? ', 150, '}'), 'a key must be text'],
    ['a list as a key', '? [a, b]\n: c\n', 'a key must be text'],
    ['lists in lists', nested('- ', 300), 'nested too deeply'],
    ['brackets', nested('[', 300, ']'), 'nested too deeply'],
    ['braces', nested('{a: ', 300, '}'), 'nested too deeply'],
    ['more brackets than the stack has room for', nested('[', 50_000), 'nested too deeply'],
    ['a list in itself', 'a: &a [*a]\n', '*a: inside of what &a names'],
    ['a map in itself', '&a a: {b: &b {c: *b}}\n', '*b: inside of what &b names'],
    [
      'aliases that multiply',
      `a: &a [${'x,'.repeat(1_000)}]\nb: &b [${'*a,'.repeat(100)}]\nc: [${'*b,'.repeat(100)}]\n`,
      'aliases that multiply without end',
    ],
  ])('refuses %s', (_what, text, why) => {
    for (const { faults } of [readYaml(text), readYamlStream(`b: 1\n---\n${text}`)])
      expect(faults.map(({ what }) => what)).toContain(why)
    expect(() => readYamlTexts(text)).toThrow()
  })

  it('takes what people write', () => {
    const text = 'a: &a {b: 1}\nc: [*a, *a]\n---\nd: 2\n---\n'
    expect(readYamlStream(text)).toEqual({
      values: [{ a: { b: 1 }, c: [{ b: 1 }, { b: 1 }] }, { d: 2 }, null],
      faults: [],
    })
    expect(readYamlStream('')).toEqual({ values: [], faults: [] })
    expect(readYamlStream('a: 1\na: 2\n', { duplicates: 'last' }).values).toEqual([{ a: 2 }])
  })
})
