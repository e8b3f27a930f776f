import { describe, expect, it } from 'vitest'
import { diffText } from '../../src/values/diff-text.ts'

describe('diffText', () => {
  it('shows changed lines with their numbers', () => {
    expect(diffText('a: 1\nb: 2\nc: 3\n', 'a: 1\nb: 3\nc: 3\nd: 4\n')).toBe('- 2: b: 2\n+ 2: b: 3\n+ 4: d: 4')
    expect(diffText('a: 1\n', 'a: 1\n')).toBe('')
  })

  it('shows a change of line ends', () => {
    expect(diffText('a: 1\n', 'a: 1\r\n')).toBe('- 1: a: 1\n+ 1: a: 1␍')
  })

  it('fault 97: masks what may be a secret', () => {
    const text = diffText(
      '',
      'dbPassword: hunter2\nkey: |\n  MIIEvQIBADANBg\nuser: {token: abc}\n# the secret is hunter3\nplain: x\n',
    )
    expect(text).not.toMatch(/hunter|MIIE|abc/)
    expect(text).toContain('plain: x')
  })

  it('does not compare huge texts line by line', () => {
    const long = (word: string) => `${word}\n`.repeat(5000)
    expect(diffText(long('a'), long('b'))).toMatch(/5000 before, 5000 now/)
  })
})
