import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { mergeValues } from '../../src/values/merge.ts'

const merge = (base: string, ours: string, theirs: string) =>
  mergeValues({ base, ours, theirs, name: 'values.yaml' })

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
})
