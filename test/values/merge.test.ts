import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { AirgapError } from '../../src/core/errors.ts'
import { mergeValues } from '../../src/values/merge.ts'

const merge = (base: string, ours: string, theirs: string) =>
  mergeValues({ base, ours, theirs, name: 'values.yaml' })

/** Applies the site's and the new bundle's changes to the same old file. */
function changed(base: string, ours: (text: string) => string, theirs: (text: string) => string) {
  return merge(base, ours(base), theirs(base))
}

const old = `# values of an environment
offline:
  # where images come from
  registry: "registry.example:5000"   # host:port
  httpServer: 'http://files.example'

nfs:   # shared
    server: 10.0.0.1
    path: /exports
    options: [ro,  soft ]   # in this order
text: |
  # no comment
  offline: none

flags: {a: 1,  b: "two"}
empty: {}
`
const fresh = old
  .replace('# values of an environment', '# values, second edition')
  .replace('path: /exports', 'path: /srv/exports # moved')
  .replace('empty: {}', 'empty: {}\n\n# new in 2.0\nadded:\n  - one')

describe('mergeValues', () => {
  it("puts the site's changes into the new text and touches no other byte", () => {
    const site = old
      .replace('"registry.example:5000"', '"10.77.0.1:35000"')
      .replace('10.0.0.1', "'10.77.0.9'")
      .replace('"two"', '"drei"')
    expect(merge(old, site, fresh)).toEqual({
      text: fresh
        .replace('"registry.example:5000"', '"10.77.0.1:35000"')
        .replace('10.0.0.1', "'10.77.0.9'")
        .replace('"two"', '"drei"'),
      kept: ['offline.registry', 'nfs.server', 'flags.b'],
      conflicts: [],
    })
  })

  it('takes the other side where one has no changes, or only other formatting', () => {
    const site = old.replace("'http://files.example'", 'http://files.example # ours').replace('\n\n', '\n')
    expect(merge(old, old, fresh).text).toBe(fresh)
    expect(merge(old, site, fresh)).toEqual({ text: fresh, kept: [], conflicts: [] })
    expect(merge(old, site, old).text).toBe(site)
    expect(merge(old, site.replace('server: 10.0.0.1', 'server: x'), old)).toMatchObject({
      text: site.replace('server: 10.0.0.1', 'server: x'),
      kept: ['nfs.server'],
    })
    expect(merge(old, fresh, fresh)).toEqual({ text: fresh, kept: [], conflicts: [] })
    expect(merge('', '', '')).toEqual({ text: '', kept: [], conflicts: [] })
  })

  it.each<[string, { base: string; ours: string; theirs: string; text: string; kept?: string[] }]>([
    [
      'a scalar; the comment after it stays',
      { base: 'a: 1\n', ours: 'a: 2 # ours\n', theirs: 'a: 1   # theirs\n', text: 'a: 2   # theirs\n' },
    ],
    ['a key without a value', { base: 'a:\n', ours: 'a: 2\n', theirs: 'a: # c\n', text: 'a: 2 # c\n' }],
    ['a value removed', { base: 'a: 1\n', ours: 'a:\n', theirs: 'a: 1 # c\n', text: 'a: # c\n' }],
    [
      'a list is one value',
      { base: 'a: [1, 2]\n', ours: 'a: [1,2, 3]\n', theirs: 'a: [1, 2] # c\n', text: 'a: [1,2, 3] # c\n' },
    ],
    [
      'a block list for an empty one',
      {
        base: 'm:\n  a: []\n',
        ours: 'm:\n  a:\n  - b # why\n  - c\n',
        theirs: 'm:\n    a: [] # none\n    z: 1\n',
        text: 'm:\n    a: # none\n    - b # why\n    - c\n    z: 1\n',
      },
    ],
    [
      'a flow list for a block list',
      {
        base: 'a:\n- b\n- c\n',
        ours: 'a: [b] # short\n',
        theirs: '# new\na:\n- b\n- c\n\nz: 1\n',
        text: '# new\na: [b] # short\n\nz: 1\n',
      },
    ],
    [
      'a block of text',
      {
        base: 'm:\n  a: x\n',
        ours: 'm:\n  a: |-\n    one\n\n      two # no comment\n',
        theirs: 'm:\n      a: x # c\n      b: 1\n',
        text: 'm:\n      a: |- # c\n        one\n\n          two # no comment\n      b: 1\n',
      },
    ],
    [
      'a text of several lines, without the comment that would become part of it',
      { base: 'a: x\n', ours: 'a: "b\n  c"\n', theirs: 'a: x # c\nb: 1\n', text: 'a: "b\n  c"\nb: 1\n' },
    ],
    [
      'a map for an empty one',
      {
        base: 'affinity: {}\n',
        ours: 'affinity:\n  node:\n    # ours\n    zone: a\n',
        theirs: 'x: 1\naffinity: {} # none\ny: 2\n',
        text: 'x: 1\naffinity: # none\n  node:\n    # ours\n    zone: a\ny: 2\n',
      },
    ],
    [
      'a map emptied',
      {
        base: 'a:\n  b: 1\nc: 2\n',
        ours: 'a: {} # none\nc: 2\n',
        theirs: '# n\na:\n  b: 1\nc: 2\n',
        text: '# n\na: {} # none\nc: 2\n',
        kept: ['a.b'],
      },
    ],
    [
      'a map turned into a scalar',
      { base: 'a:\n  b: 1\n', ours: 'a: off\n', theirs: 'a:\n  b: 1\nc: 3\n', text: 'a: off\nc: 3\n' },
    ],
    [
      'a key added with its comments, after its neighbour',
      {
        base: 'a:\n  b: 1\n  c: 2\nd: 4\n',
        ours: 'a:\n  b: 1\n\n  # ours\n  n: yes # really\n  c: 2\nd: 4\n',
        theirs: 'a:\n    b: 1 # one\n      # more\n    c: 3\nd: 4\n',
        text: 'a:\n    b: 1 # one\n      # more\n\n    # ours\n    n: yes # really\n    c: 3\nd: 4\n',
        kept: ['a.n'],
      },
    ],
    [
      'a key added first, which is placed last',
      { base: 'a: 1\n', ours: 'n: 2\na: 1\n', theirs: '# h\na: 1', text: '# h\na: 1\nn: 2\n', kept: ['n'] },
    ],
    [
      'a map added to a new file without a line end',
      {
        base: 'a: {b: 1}\n',
        ours: 'a: {b: 1}\nn:\n  m: 1\n  o: 2\n',
        theirs: 'a: {b: 2}',
        text: 'a: {b: 2}\nn:\n  m: 1\n  o: 2\n',
        kept: ['n'],
      },
    ],
    [
      'keys added to an empty file',
      {
        base: '',
        ours: 'n: 1\nm: "2"\n',
        theirs: '# only comments',
        text: '# only comments\nn: 1\nm: "2"\n',
        kept: ['n', 'm'],
      },
    ],
    [
      'the comments of the old bundle are not added again',
      {
        base: '# section\na: 1\n',
        ours: '# section\nn: 2\na: 1\n',
        theirs: '# section\na: 1\nb: 2\n',
        text: '# section\na: 1\nb: 2\nn: 2\n',
        kept: ['n'],
      },
    ],
    [
      'after a block of text, before the empty lines',
      {
        base: 'a: |\n  t\n\nz: 1\n',
        ours: 'a: |\n  t\nn: 1\n\nz: 1\n',
        theirs: 'a: |\n  u\n\nz: 1\n',
        text: 'a: |\n  u\nn: 1\n\nz: 1\n',
        kept: ['n'],
      },
    ],
    [
      'after a block of text that keeps its empty lines',
      {
        base: 'a: |+\n  t\n\n',
        ours: 'a: |+\n  t\n\n# c\nn: 1\n',
        theirs: 'a: |+\n  u\n\n',
        text: 'a: |+\n  u\n\n# c\nn: 1\n',
        kept: ['n'],
      },
    ],
    [
      'a key removed, with the comment that the site removed',
      {
        base: '# of a\na: 1\n# of b\nb:\n  c: 1\n  # d: 2\ne: 3\n',
        ours: '# of a\na: 1\ne: 3\n',
        theirs: '# of a\na: 2\n# of b\nb:\n  c: 1\n  # d: 2\ne: 3\n',
        text: '# of a\na: 2\ne: 3\n',
        kept: ['b'],
      },
    ],
    [
      'a key removed, its comment kept',
      {
        base: '# of b\nb: 1\ne: 3\n',
        ours: '# of b\ne: 3\n',
        theirs: '# of b\nb: 1\ne: 4\n',
        text: '# of b\ne: 4\n',
        kept: ['b'],
      },
    ],
    [
      'a flow map: changed, added, removed',
      {
        base: 'm: {a: 1, b: 2, c: 3, d: }\n',
        ours: 'm: {a: "1", c: 3, d: x, new: {o: [yes]}}\n',
        theirs: 'm: { a: 1,b: 2,   c: 4, d:  } # c\n',
        text: 'm: { a: "1",c: 4, d: x, new: { o: [yes] }  } # c\n',
        kept: ['m.a', 'm.b', 'm.d', 'm.new'],
      },
    ],
    [
      'the last keys of a flow map',
      {
        base: 'm: {a: 1, b: 2, c: 3}\n',
        ours: 'm: {a: 1}\n',
        theirs: 'm: {a: 5, b: 2, c: 3 }\n',
        text: 'm: {a: 5 }\n',
        kept: ['m.b', 'm.c'],
      },
    ],
    [
      'all keys of a flow map replaced',
      {
        base: '{a: 1, b: 2}\n',
        ours: '{n: 3}\n',
        theirs: '{ a: 1, b: 2 } # c\n',
        text: '{ "n": 3 } # c\n',
        kept: ['a', 'b', 'n'],
      },
    ],
    [
      'a text that would be two values in a flow map',
      {
        base: 'a: {b: 1}\n',
        ours: 'a:\n  b: x, y\n',
        theirs: 'a: {b: 1, c: 2}\n',
        text: 'a: {b: "x, y", c: 2}\n',
      },
    ],
    [
      'keys that are not words',
      {
        base: '"a b": 1\n8080: x\n',
        ours: '"a b": 2\n8080: y\n',
        theirs: '\'a b\': 1\n"8080": x\n',
        text: '\'a b\': 2\n"8080": y\n',
        kept: ['["a b"]', '8080'],
      },
    ],
    [
      'keys that JavaScript has a meaning for',
      {
        base: 'a: 1\n',
        ours: 'a: 1\n__proto__: {x: 1}\nconstructor: 2\n',
        theirs: 'a: 2\n',
        text: 'a: 2\n__proto__: {x: 1}\nconstructor: 2\n',
        kept: ['__proto__', 'constructor'],
      },
    ],
    [
      'integers too large for a JavaScript number',
      {
        base: 'a: 12345678901234567890\n',
        ours: 'a: 12345678901234567891\n',
        theirs: '# n\na: 12345678901234567890\n',
        text: '# n\na: 12345678901234567891\n',
      },
    ],
    [
      'a number that Helm reads differently',
      {
        base: 'mode: 644\n',
        ours: 'mode: 0644\n',
        theirs: 'mode: 644\nz: 1\n',
        text: 'mode: 0644\nz: 1\n',
        kept: ['mode'],
      },
    ],
    [
      'a text that Helm reads as true',
      { base: 'a: "yes"\n', ours: 'a: yes\n', theirs: 'a: "yes"\nz: 1\n', text: 'a: yes\nz: 1\n' },
    ],
    [
      'a byte order mark',
      {
        base: '\uFEFFa: 1\nb: 1\n',
        ours: '\uFEFFn: 1\na: 2\n',
        theirs: '\uFEFFa: 1\nb: 1\nc: 1\n',
        text: '\uFEFFa: 2\nc: 1\nn: 1\n',
        kept: ['a', 'b', 'n'],
      },
    ],
    [
      'a document start and end',
      {
        base: '---\na: 1\n...\n',
        ours: '---\na: 2\nn: 1\n...\n',
        theirs: '---\na: 1\nb: 1\n...\n',
        text: '---\na: 2\nn: 1\nb: 1\n...\n',
        kept: ['a', 'n'],
      },
    ],
    [
      'a scalar with an anchor: its aliases follow',
      {
        base: 'a: &x 1\nb: *x\n',
        ours: 'a: &x 2\nb: *x\n',
        theirs: 'a: &x 1\nb: *x\nc: 1\n',
        text: 'a: &x 2\nb: *x\nc: 1\n',
        kept: ['a', 'b'],
      },
    ],
    [
      'a map with an anchor: merge keys follow',
      {
        base: 'd: &d {x: 1}\nb:\n  <<: *d\n  y: 1\n',
        ours: 'd: &d {x: 2}\nb:\n  <<: *d\n  y: 1\n',
        theirs: 'd: &d {x: 1}\nb:\n  <<: *d\n  y: 3\n',
        text: 'd: &d {x: 2}\nb:\n  <<: *d\n  y: 3\n',
        kept: ['d.x', 'b.x'],
      },
    ],
    [
      "the site's own key over one from a merge key",
      {
        base: 'd: &d {x: 1}\nb:\n  <<: *d\n',
        ours: 'd: &d {x: 1}\nb:\n  <<: *d\n  x: 2\n',
        theirs: 'd: &d {x: 1}\nb:\n  <<: *d\nc: 1\n',
        text: 'd: &d {x: 1}\nb:\n  <<: *d\n  x: 2\nc: 1\n',
        kept: ['b.x'],
      },
    ],
    [
      "the site's aliases and anchors, written out",
      {
        base: 'a: 1\nb: 1\n',
        ours: 'a: &x\n  k: "1.10"\n  l: [yes, 2.0, .inf, 0x1F, ~]\nb: *x\n',
        theirs: 'a: 1\nb: 1\nc: 1\n',
        text: 'a: { k: "1.10", l: [yes, 2.0, .inf, 31, null] }\nb: { k: "1.10", l: [yes, 2.0, .inf, 31, null] }\nc: 1\n',
      },
    ],
    [
      'a value for an alias',
      {
        base: 'a: &x 1\nb: *x\n',
        ours: 'a: &x 1\nb: 5\n',
        theirs: 'a: &x 1\nb: *x # c\n',
        text: 'a: &x 1\nb: 5 # c\n',
        kept: ['b'],
      },
    ],
  ])('%s', (_, { base, ours, theirs, text, kept }) => {
    const result = merge(base, ours, theirs)
    expect(result).toMatchObject({ text, conflicts: [] })
    if (kept !== undefined) expect(result.kept).toEqual(kept)
    const crlf = (lines: string) => lines.replaceAll('\n', '\r\n')
    if (theirs.includes('\n')) {
      expect(merge(base, ours, crlf(theirs)).text).toBe(crlf(text))
      expect(merge(crlf(base), crlf(ours), theirs).text).toBe(text)
    }
    expect(merge(theirs, text, theirs).text).toBe(text)
    expect(merge(base, result.text, theirs).text).toBe(text)
  })

  it.each([
    ['yes', "'yes'"],
    ['1.10', '"1.10"'],
    ['0x1F', "'0x1F'"],
    ['null', '"null"'],
    ['~', "'~'"],
    ['', "''"],
    ['it\'s "so"', `'it''s "so"'`],
    ['{{ .Values.x }}', "'{{ .Values.x }}'"],
    ['a: b # c', '"a: b # c"'],
    ['one\ntwo\n', '|\n      one\n      two'],
    ['one\ntwo', '"one\\ntwo"'],
    ['\ttab \u0007 \u2028 \u{1F600}', '"\\ttab \\a \\u2028 \u{1F600}"'],
    ['one two', 'one\n      two'],
    ['2020-01-01', '"2020-01-01"'],
  ])('keeps the text %j a text', (value, written) => {
    for (const [before, now] of [
      ['m:\n  a: before\n', 'm:\n    a: before # c\n    z: 1\n'],
      ['m: {a: before}\n', 'm: {a: before, z: 1}\n'],
      ['m: {}\n', 'm: {z: 1}\n'],
    ] as const) {
      const { text } = merge(before, `m:\n    a: ${written}\n`, now)
      expect(parse(text)).toEqual({ m: { a: value, z: 1 } })
      expect(parse(text, { version: '1.1' })).toEqual({ m: { a: value, z: 1 } })
    }
  })

  describe('conflicts', () => {
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

  const bomb = `a: &a [${'x,'.repeat(9)}x]\n${'bcdefghi'.replace(
    /./g,
    (key, i: number) => `${key}: &${key} [${`*${'abcdefgh'[i]},`.repeat(9)}x]\n`,
  )}`

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
    ['ten thousand brackets', `a: ${'['.repeat(10_000)}`, /YAML|deeply/],
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
