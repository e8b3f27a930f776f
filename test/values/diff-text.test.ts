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

  it('masks what may be a secret (fault 97)', () => {
    const text = diffText(
      '',
      'encryptionKey: hunter2\nkey: |\n  MIIEvQIBADANBg\nuser: {token: abc}\n# the secret is hunter3\nplain: x\n',
    )
    expect(text).not.toMatch(/hunter|MIIE|abc/)
    expect(text).toContain('plain: x')
  })

  it('masks a value whose secret key has not changed itself', () => {
    const text = (value: string) => `credentials:\n  root:\n  - a\n  - ${value}\n`
    expect(diffText(text('hunter2'), text('hunter3'))).toBe('- 4: …\n+ 4: …')
  })

  it('masks the value of a secret under another key, too', () => {
    const text = diffText(
      'db: {rootPassword: hunter2-x}\n',
      'db:\n  rootPassword: hunter2-x\n  plain: hunter2-x\n  user: auth\n',
    )
    expect(text).not.toContain('hunter2')
    expect(text).toContain('plain: ***')
    expect(text).toContain('user: auth')
  })

  it('reports only how much of two very different texts differs, soon', () => {
    const lines = (word: (i: number) => string) =>
      Array.from({ length: 20_000 }, (_, i) => `${word(i)}\n`).join('')
    const started = performance.now()
    expect(
      diffText(
        lines(i => `a: ${i}`),
        lines(i => `b: ${i}`),
      ),
    ).toBe('more than 1000 lines differ (20000 before, 20000 now)')
    expect(
      diffText(
        lines(i => `a: ${i % 3}`),
        lines(i => `a: ${((i * 7 + i) % 11) % 3}`),
      ),
    ).toMatch(/^more than/)
    expect(
      diffText(
        lines(i => `a: ${i}`),
        lines(i => (i % 1000 === 0 ? 'b: 1' : `a: ${i}`)),
      ).split('\n'),
    ).toHaveLength(40)
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})
