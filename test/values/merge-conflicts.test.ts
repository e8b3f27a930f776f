import { describe, expect, it } from 'vitest'
import { mergeValues } from '../../src/values/merge.ts'

const merge = (base: string, ours: string, theirs: string) =>
  mergeValues({ base, ours, theirs, name: 'values.yaml' })

/** Applies the site's and the new bundle's changes to the same old file. */
function changed(base: string, ours: (text: string) => string, theirs: (text: string) => string) {
  return merge(base, ours(base), theirs(base))
}

describe('conflicts of a merge', () => {
  const base = 'a: 1\nm:\n  b: 2\n  c: [1]\npassword: p0\n'
  it.each<[string, string, string, object]>([
    [
      'both changed',
      'a: 2',
      'a: "3"',
      { text: 'a: 2', conflicts: [{ path: 'a', ours: '2', theirs: '"3"' }] },
    ],
    [
      'both changed to the same',
      'a: 2',
      "a:   '2'",
      { conflicts: [{ path: 'a', ours: '2', theirs: '"2"' }] },
    ],
    ['both to the same value', 'a: "2"', "a:   '2'", { text: "a:   '2'", kept: [], conflicts: [] }],
    ['both added', 'n: 2', 'n: 3', { text: 'n: 2', conflicts: [{ path: 'n', ours: '2', theirs: '3' }] }],
    ['both added a map', 'n: {a: 1}', 'n: {b: 2}', { text: 'n: {b: 2, a: 1}', kept: ['n.a'] }],
    ['both removed', '', '', { text: '', kept: [], conflicts: [] }],
  ])('%s', (_, ours, theirs, result) => {
    const rest = base.slice(base.indexOf('m:'))
    const { text, ...found } = merge(base, `${ours}\n${rest}`, `${theirs}\n${rest}# end\n`)
    expect({ text: text.slice(0, text.indexOf('\nm:')), ...found }).toMatchObject(result)
    expect(text.endsWith(`${rest}# end\n`)).toBe(true)
  })

  it('keeps a key removed that the site removed and the new bundle changed', () => {
    expect(
      changed(
        base,
        text => text.replace('  b: 2\n', ''),
        text => text.replace('b: 2', 'b: 3'),
      ),
    ).toEqual({
      text: base.replace('  b: 2\n', ''),
      kept: [],
      conflicts: [{ path: 'm.b', ours: '(removed)', theirs: '3' }],
    })
  })

  it('keeps a key that the site changed and the new bundle removed', () => {
    expect(
      changed(
        base,
        text => text.replace('b: 2', 'b: 3 # ours'),
        text => text.replace('  b: 2\n', ''),
      ),
    ).toEqual({
      text: base.replace('  b: 2\n', '').replace('[1]\n', '[1]\n  b: 3 # ours\n'),
      kept: [],
      conflicts: [{ path: 'm.b', ours: '3', theirs: '(removed)' }],
    })
    expect(
      changed(
        base,
        text => text.replace('b: 2', 'b: 3'),
        text => text.replace(/m:\n.*\n.*\n/, ''),
      ),
    ).toMatchObject({
      text: 'a: 1\nm:\n  b: 3\n  c: [1]\npassword: p0\n',
      conflicts: [{ path: 'm', ours: '{ b: 3, c: [1] }', theirs: '(removed)' }],
    })
  })

  it.each([
    ['password: X', 'password', '***'],
    ['password: [X]', 'password', '***'],
    ['secrets: {db: {a: X}}', 'secrets', '***'],
    [
      'db: [{user: me, rootPassword: X, apiKey: X}]',
      'db',
      '[{ user: "me", rootPassword: ***, apiKey: *** }]',
    ],
    ['env: [{name: DB_PASSWORD, value: X}]', 'env', '[{ name: "DB_PASSWORD", value: *** }]'],
    ['url: postgres://me:X@db/x', 'url', '"postgres://***@db/x"'],
    ['keycloak: [1]', 'keycloak', '[1]'],
    ['keycloak: [{tlsKey: X}]', 'keycloak', '[{ tlsKey: *** }]'],
    [`long: ${'a'.repeat(200)}`, 'long', `"${'a'.repeat(78)}…`],
    [`long: ${'\u{1F600}'.repeat(100)}`, 'long', `"${'\u{1F600}'.repeat(39)}…`],
  ])('shows %s without the secret', (line, path, shown) => {
    const key = line.slice(0, line.indexOf(':'))
    const { conflicts } = merge(`${key}: [0]\n`, `${line}\n`, `${key}: [2]\n`)
    expect(conflicts).toMatchObject([{ path, ours: shown }])
    expect(JSON.stringify(conflicts)).not.toContain('X')
  })
})
