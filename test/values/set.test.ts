import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'
import { AirgapError } from '../../src/core/errors.ts'
import { currentSettings, isTree, nested, settingLines, settingsOf, setValues } from '../../src/values/set.ts'

const values = { registry: '10.77.0.1:35000', httpServer: 'http://10.77.0.1:8080' }
const set = (text: string) => setValues(text, { offline: values, values: '' }, 'values.yaml')

const realistic = `# production values
global:   # shared
  storageClass: "fast"   # quoted on purpose
offline:
  # where images come from
  registry: "old.example:5000"   # host:port
  httpServer: 'http://old.example'
  other: &keep yes
nested:
    deep: [ 1,2 , 3 ]
    again: *keep
text: |
  offline:
    registry: not this one
`

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,6}$/)
const scalar = fc.oneof(word, fc.integer(), fc.boolean(), fc.string({ maxLength: 12 }), fc.constant(null))
const tree = fc.letrec<{ node: unknown }>(tie => ({
  node: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(word, tie('node'), { maxKeys: 4 }),
  ),
})).node

describe('setValues, addresses', () => {
  it('changes the two scalars and no other byte', () => {
    expect(set(realistic)).toBe(
      realistic
        .replace('"old.example:5000"', '"10.77.0.1:35000"')
        .replace("'http://old.example'", "'http://10.77.0.1:8080'"),
    )
  })

  it('is idempotent', () => {
    const once = set(realistic)
    expect(set(once)).toBe(once)
    expect(currentSettings(once, { offline: values, values: '' }, 'values.yaml')).toEqual({
      offline: values,
      values: '',
    })
  })

  it.each([
    [
      'CRLF',
      'a: 1\r\noffline:\r\n  registry: x\r\n',
      'a: 1\r\noffline:\r\n  registry: 10.77.0.1:35000\r\n  httpServer: "http://10.77.0.1:8080"\r\n',
    ],
    [
      'a byte order mark',
      '\uFEFFoffline:\n  registry: x\n  httpServer: y\n',
      '\uFEFFoffline:\n  registry: 10.77.0.1:35000\n  httpServer: http://10.77.0.1:8080\n',
    ],
    ['an empty file', '', 'offline:\n  registry: "10.77.0.1:35000"\n  httpServer: "http://10.77.0.1:8080"\n'],
    [
      'only comments',
      '# nothing',
      '# nothing\noffline:\n  registry: "10.77.0.1:35000"\n  httpServer: "http://10.77.0.1:8080"\n',
    ],
    [
      'a last line without line end',
      'a: 1',
      'a: 1\noffline:\n  registry: "10.77.0.1:35000"\n  httpServer: "http://10.77.0.1:8080"\n',
    ],
    [
      'an empty key',
      'offline: # none yet\nb: 2\n',
      'offline: # none yet\n  registry: "10.77.0.1:35000"\n  httpServer: "http://10.77.0.1:8080"\nb: 2\n',
    ],
    [
      'offline: null',
      'offline: ~ # none\n',
      'offline: { registry: "10.77.0.1:35000", httpServer: "http://10.77.0.1:8080" } # none\n',
    ],
    [
      'keys without values',
      'offline:\n  registry:   # fill in\n  httpServer:\n',
      'offline:\n  registry: "10.77.0.1:35000"   # fill in\n  httpServer: "http://10.77.0.1:8080"\n',
    ],
    [
      'a flow map',
      '{offline: {registry: a}, b: 1}\n',
      '{offline: {registry: 10.77.0.1:35000, httpServer: "http://10.77.0.1:8080"}, b: 1}\n',
    ],
    [
      'an empty flow map',
      'offline: {}\n',
      'offline: {registry: "10.77.0.1:35000", httpServer: "http://10.77.0.1:8080"}\n',
    ],
    [
      'a root flow map',
      '{a: 1}\n',
      '{a: 1, offline: { registry: "10.77.0.1:35000", httpServer: "http://10.77.0.1:8080" }}\n',
    ],
    [
      'a deep indentation',
      'offline:\n      httpServer: "a"\nz: 1\n',
      'offline:\n      httpServer: "http://10.77.0.1:8080"\n      registry: "10.77.0.1:35000"\nz: 1\n',
    ],
    [
      'a block of text as the last value',
      'offline:\n  note: |\n    a\n    b\n\nz: 1\n',
      'offline:\n  note: |\n    a\n    b\n  registry: "10.77.0.1:35000"\n  httpServer: "http://10.77.0.1:8080"\n\nz: 1\n',
    ],
    [
      'an address with an anchor, whose aliases follow',
      'offline:\n  registry: &r "a"\n  httpServer: b\nuse: *r\n',
      'offline:\n  registry: &r "10.77.0.1:35000"\n  httpServer: http://10.77.0.1:8080\nuse: *r\n',
    ],
    [
      'an empty key with comments after and below it',
      'offline:   # none yet\n  # host:port\nb: 2\n',
      'offline:   # none yet\n  registry: "10.77.0.1:35000"\n  httpServer: "http://10.77.0.1:8080"\n  # host:port\nb: 2\n',
    ],
    [
      'an address that is an alias',
      'a: &a x\noffline:\n  registry: *a\n  httpServer: y\n',
      'a: &a x\noffline:\n  registry: "10.77.0.1:35000"\n  httpServer: http://10.77.0.1:8080\n',
    ],
  ])('%s', (_, before, after) => {
    expect(set(before)).toBe(after)
  })

  it('quotes an IPv6 address', () => {
    const ipv6 = { registry: '[fd00::1]:35000', httpServer: 'http://[fd00::1]:8080' }
    const text = setValues('offline:\n  registry: a\n  httpServer: b\n', { offline: ipv6, values: '' }, 'v')
    expect(text).toBe('offline:\n  registry: "[fd00::1]:35000"\n  httpServer: "http://[fd00::1]:8080"\n')
  })

  it('refuses keys nested without end, soon', () => {
    const started = performance.now()
    expect(() => set(`offline: {}\na: &a\n  ${'? '.repeat(700)}b: 1\nf:\n  <<: *a\n`)).toThrowError(
      expect.objectContaining({ code: 'VALUES_INVALID' }),
    )
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it.each([
    ['a duplicate key', 'offline:\n  registry: a\n  registry: b\n', /values\.yaml:3:3/],
    ['a duplicate map', 'offline: {}\noffline: {}\n', /values\.yaml:2:1/],
    ['two documents', 'a: 1\n---\nb: 1\n', /values\.yaml/],
    ['a list', '- 1\n', /values\.yaml/],
    ['offline as text', 'offline: no\n', /values\.yaml/],
    ['offline as a list', 'offline: [a]\n', /values\.yaml/],
    ['offline as an alias', 'a: &a {x: 1}\noffline: *a\n', /values\.yaml/],
    ['registry as a map', 'offline:\n  registry: {a: 1}\n', /values\.yaml/],
    ['registry as a block', 'offline:\n  registry: |\n    a\n', /values\.yaml/],
    ['tabs', 'offline:\n\tregistry: a\n', /values\.yaml:2/],
    ['an open quote', 'a: "x\n', /values\.yaml/],
  ])('refuses %s', (_, text, item) => {
    expect(() => set(text)).toThrowError(
      expect.objectContaining({
        code: 'VALUES_INVALID',
        item: expect.stringMatching(item),
        next: expect.any(String),
      }),
    )
  })

  it('changes no value but the two, with random values around them', () => {
    const text = fc
      .record({
        before: fc.dictionary(word, tree, { maxKeys: 4 }),
        offline: fc.dictionary(word, tree, { maxKeys: 3 }),
        registry: fc.option(fc.string({ maxLength: 10 }), { nil: undefined }),
        httpServer: fc.option(fc.string({ maxLength: 10 }), { nil: undefined }),
        after: fc.dictionary(
          word.map(key => `${key}Z`),
          tree,
          { maxKeys: 3 },
        ),
        style: fc.constantFrom('PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_LITERAL'),
        flow: fc.boolean(),
        eol: fc.constantFrom('\n', '\r\n'),
        indent: fc.constantFrom(1, 2, 4, 7),
      })
      .map(({ before, offline, registry, httpServer, after, style, flow, eol, indent }) => {
        const own = {
          ...offline,
          ...(registry === undefined ? {} : { registry }),
          ...(httpServer === undefined ? {} : { httpServer }),
        }
        const body = stringify(
          { ...before, offline: own, ...after },
          {
            defaultStringType: style as 'PLAIN',
            collectionStyle: flow ? 'flow' : 'block',
            indent,
            lineWidth: 0,
          },
        )
        return `# head${eol}${body.replaceAll('\n', eol)}`
      })
    fc.assert(
      fc.property(text, before => {
        let after: string
        try {
          after = set(before)
        } catch (error) {
          expect(error).toBeInstanceOf(AirgapError)
          return
        }
        expect(parse(after)).toEqual({ ...parse(before), offline: { ...parse(before).offline, ...values } })
        expect(set(after)).toBe(after)
      }),
      { numRuns: 300 },
    )
  })

  it('replaces only the bytes of the two scalars, with random text around them', () => {
    const noise = fc.constantFrom(
      '# a comment',
      'a: 1',
      'b:   [ 1,2 ]  # x',
      "c: 'x'",
      'd: |\n  text: x',
      'e:',
      '',
      'f: &f "1"',
      'g: {h: 1 , i: }',
    )
    const written = fc.constantFrom('MARKED', '"MARKED"', "'MARKED'")
    const inner = fc.constantFrom('', '  # inside\n', '  k: |\n    x\n', '  m: [1, 2] # y\n', '\n')
    const text = fc
      .tuple(
        fc.uniqueArray(noise),
        written,
        inner,
        written,
        inner,
        fc.constantFrom('', '   # c'),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
      )
      .map(([before, one, middle, two, last, comment, eol, turned]) => {
        const rows = [`  registry: ${one}${comment}\n`, `  httpServer: ${two}\n`]
        if (turned) rows.reverse()
        const lines = [
          ...before.slice(0, 3),
          `offline:\n${rows[0]}${middle}${rows[1]}${last === middle ? '' : last}z: 1`,
          ...before.slice(3),
        ]
        return lines.join('\n').replaceAll('\n', eol)
      })
    fc.assert(
      fc.property(text, before => {
        const pieces = before.split(/["']?MARKED["']?/)
        const after = set(before)
        const found = pieces.reduce((rest, piece) => {
          expect(rest.startsWith(piece)).toBe(true)
          return rest.slice(piece.length).replace(/^["']?(http:\/\/)?10\.77\.0\.1:(35000|8080)["']?/, '')
        }, after)
        expect(found).toBe('')
      }),
      { numRuns: 300 },
    )
  })
})

describe('setValues, nested values', () => {
  /** A root key with comments; the whole of it is one block of text. */
  const block = fc.record({
    value: tree,
    above: fc.constantFrom('', '# above\n', '\n# above\n\n'),
    flow: fc.boolean(),
  })
  const file = fc
    .tuple(fc.uniqueArray(word, { maxLength: 6 }), fc.array(block, { minLength: 6, maxLength: 6 }))
    .map(([keys, blocks]) =>
      keys.map((key, i) => {
        const { value, above, flow } = blocks[i]!
        const body = flow
          ? `${key}: ${JSON.stringify(value)}\n`
          : stringify({ [key]: value }, { collectionStyle: 'block', lineWidth: 0, version: '1.1' })
        return { key, text: above + body }
      }),
    )
  const settings = fc.dictionary(word, tree, { maxKeys: 4 })

  it('has the new values, and every other key as it was written', () => {
    fc.assert(
      fc.property(file, settings, fc.constantFrom('\n', '\r\n'), (blocks, values, eol) => {
        const before = blocks.map(({ text }) => text.replaceAll('\n', eol)).join('')
        // the printer sometimes writes invalid YAML
        fc.pre(parses(before))
        const after = setValues(before, settingsOf(values), 'values.yaml')
        expect(parse(after) ?? {}).toEqual(merged(parse(before) ?? {}, values))
        expect(setValues(after, settingsOf(values), 'values.yaml')).toBe(after)
        for (const { key, text } of blocks)
          if (!(key in values)) expect(after).toContain(text.replaceAll('\n', eol).trim())
      }),
      { numRuns: 300 },
    )
  })
})

function parses(text: string): boolean {
  try {
    parse(text)
    return true
  } catch {
    return false
  }
}

/** Settings over values: maps by key. */
function merged(base: unknown, over: unknown): unknown {
  if (!isTree(base) || !isTree(over)) return over
  return {
    ...base,
    ...Object.fromEntries(
      Object.entries(over).map(([key, it]) => [key, key in base ? merged(base[key], it) : it]),
    ),
  }
}

describe('settingLines', () => {
  it('lists every value, with secrets masked', () => {
    const more = {
      nfs: { server: '10.0.0.5', options: ['ro', 1] },
      db: { rootPassword: 'hunter2-"2', url: 'mysql://root:hunter2@db/x', args: ['-p', 'hunter2-"2'] },
      credentials: { a: { b: 'hunter2' } },
      'x.y': {},
    }
    expect(settingLines(settingsOf(more, values))).toEqual([
      'offline.registry = "10.77.0.1:35000"',
      'offline.httpServer = "http://10.77.0.1:8080"',
      'nfs.server = "10.0.0.5"',
      'nfs.options = ["ro", 1]',
      'db.rootPassword = ***',
      'db.url = "mysql://***@db/x"',
      'db.args = ["-p", "***"]',
      'credentials.a.b = ***',
      '["x.y"] = {}',
    ])
    expect(settingLines(settingsOf({}))).toEqual([])
  })
})

describe('nested', () => {
  it('takes dots in a key for levels', () => {
    expect(nested({ 'nfs.server': 'x', 'nfs.path': '/x', a: [1] })).toEqual({
      nfs: { server: 'x', path: '/x' },
      a: [1],
    })
  })

  it('does not reach the prototype of other objects by a hostile key', () => {
    const text = setValues(
      '',
      settingsOf(nested({ '__proto__.polluted': 1, 'constructor.prototype.polluted': 2 })),
      'v',
    )
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    expect(text).toBe('__proto__:\n  polluted: 1\nconstructor:\n  prototype:\n    polluted: 2\n')
  })
})
