import { describe, expect, it } from 'vitest'
import { parseNetrc } from '../../src/remote/netrc.ts'

const read = (text: string, quotes = true) =>
  parseNetrc(text, { quotes }).map(({ machine, login, password }) => `${machine} ${login} ${password}`)

describe('netrc', () => {
  it.each([
    ['one line', 'machine a.example login me password s3cret', ['a.example me s3cret']],
    ['many lines, any order', 'machine a.example\n\tpassword s3cret\n\tlogin me\n', ['a.example me s3cret']],
    ['comments', '# machine x login y password z\nmachine a login b password c # d\n', ['a b c']],
    ['a password that begins with #', 'machine a login b password #c\n', ['a b #c']],
    ['an account', 'machine a login b account x password c', ['a b c']],
    ['two machines', 'machine a login b password c machine d login e password f', ['a b c', 'd e f']],
    ['Windows lines and a NUL', 'machine a\r\nlogin b\r\npassword c\r\n\0', ['a b c']],
    ['no password', 'machine a login b\nmachine c login d password e', ['c d e']],
    ['no login', 'machine a password b', []],
    ['the default entry', 'machine a login b password c\ndefault login d password e', ['a b c']],
    [
      'a macro',
      'machine a login b password c\nmacdef init\ncd machine\nlogin x\n\nmachine d login e password f',
      ['a b c', 'd e f'],
    ],
    [
      'a macro at the end',
      'machine a login b password c\nmacdef init\nmachine x login y password z\n',
      ['a b c'],
    ],
    ['quotes', 'machine a login "b c" password "d \\"e\\" \\\\f"', ['a b c d "e" \\f']],
    ['a quote that does not end', 'machine a login b password "c', ['a b "c']],
    ['a machine called login', 'machine login login login password password', ['login login password']],
    ['other text', '\u0000{"a": 1} machine', []],
    ['nothing', '', []],
  ])('%s', (_, text, expected) => expect(read(text)).toEqual(expected))

  it('reads apt’s files without quotes', () => {
    expect(read('machine https://a.example:8443/deb/ login "b" password "c"', false)).toEqual([
      'https://a.example:8443/deb/ "b" "c"',
    ])
  })

  it('takes linear time for what is no netrc', () => {
    const started = performance.now()
    for (const text of [
      '#'.repeat(1 << 20),
      '"'.repeat(1 << 20),
      '\n #'.repeat(1 << 18),
      `machine a login "${'\\'.repeat(1 << 20)}`,
    ])
      read(text)
    expect(performance.now() - started).toBeLessThan(2000)
  })
})
