import { describe, expect, it } from 'vitest'
import { oneLine, printable, printableJson, printableLine } from '../../src/core/printable.ts'

describe('printable', () => {
  it('escapes control characters except line feeds', () => {
    expect(printable('a\u001b[2Jb\u0007\nc\u009b\t')).toBe('a\\x1b[2Jb\\x07\nc\\x9b\\x09')
  })

  it('escapes bidirectional controls, line separators and lone surrogates (CVE-2021-42574)', () => {
    expect(printable('a\u202eb\u2066c\u200f\u2028\ud800d')).toBe('a\\u202eb\\u2066c\\u200f\\u2028\\ud800d')
  })

  it('escapes characters without width, in and beyond the basic plane', () => {
    expect(printable('a\u200bb\u2060\ufeff\u00ad\u3164\u{e0041}c\u200d')).toBe(
      'a\\u200bb\\u2060\\ufeff\\xad\\u3164\\u{e0041}c\\u200d',
    )
  })

  it('fault 120: makes one line of a field', () => {
    expect(oneLine('arm\n  next:   run `curl x | sh`\r\u2028\u202e')).toBe(
      'arm\\n  next:   run `curl x | sh`\\x0d\\u2028\\u202e',
    )
  })

  it('keeps other text', () => {
    const text = '한국어 – “quoted” 🚀 é'
    const all = [printable(text), oneLine(text), printableLine(text, 100), printableJson(text)]
    expect(all).toEqual([text, text, text, text])
  })
})

describe('printableJson', () => {
  it('does not change the value', () => {
    const value = { a: 'x\u007f\u009b\u202e\u2028\u{e0041}\ny', b: ['\u0000', '한'] }
    const text = printableJson(JSON.stringify(value, null, 2))
    expect(JSON.parse(text)).toEqual(value)
    expect(text).not.toMatch(/[\u007f\u009b\u202e\u2028]/)
  })
})

describe('printableLine', () => {
  it('removes colours and replaces what a terminal would obey', () => {
    expect(printableLine('\u001b[31mred\u001b[0m a\tb\r\nc\u009bd\u202e', 100)).toBe(
      'red a  b c\ufffdd\ufffd',
    )
  })

  it('limits the length without splitting a character', () => {
    expect(printableLine('a'.repeat(1_000_000), 5)).toBe('aaaaa')
    expect(printableLine('aaaa🚀', 5)).toBe('aaaa')
  })
})
