import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { formatYaml } from '../../../src/cli/shell/format-yaml.ts'

describe('formatYaml', () => {
  it('keeps the value, and has nothing that a terminal would obey', () => {
    const value = {
      tab: 'a\tb',
      colour: '\u001b[31mred',
      bidi: 'a\u202eb',
      c1: 'x\u009b',
      'k\u007fey': 'two\nlines\t',
    }
    const text = formatYaml(value)
    expect(parse(text)).toEqual(value)
    expect(text).not.toMatch(/[^\n\P{Cc}]|\u202e/u)
  })

  it('keeps any value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), value => {
        expect(JSON.stringify(parse(formatYaml(value)))).toBe(JSON.stringify(value))
      }),
    )
  })
})
