import fc from 'fast-check'
import { SaxesParser } from 'saxes'
import { describe, expect, it } from 'vitest'
import { AirgapError } from '../../../src/core/errors.ts'
import { XmlScanner } from '../../../src/kinds/rpm/xml-scanner.ts'

/** What is told of a text, the parts of one text joined; `refused` where it is no XML. */
type Told = string[] | 'refused'

function ours(text: string, cuts: number[] = []): Told {
  const told: string[] = []
  const scanner: XmlScanner = new XmlScanner('x', {
    known: ['c'],
    handlers: {
      open(name) {
        const attributes = Array.from({ length: scanner.count }, (_, i) => [
          scanner.names.text(scanner.attributeName(i)),
          scanner.attributeText(i),
        ])
        told.push(`<${scanner.names.text(name)} ${JSON.stringify(Object.fromEntries(attributes))}`)
      },
      text: (start, end, form) => void told.push(`"${scanner.textAt(start, end, form)}`),
      close: name => void told.push(`/${scanner.names.text(name)}`),
    },
  })
  const bytes = Buffer.from(text)
  try {
    let at = 0
    for (const cut of [...cuts].sort((a, b) => a - b)) {
      scanner.write(bytes.subarray(at, cut))
      at = Math.max(at, cut)
    }
    scanner.write(bytes.subarray(at))
    scanner.close()
  } catch (error) {
    if (!(error instanceof AirgapError) || error.code !== 'UPSTREAM_INVALID') throw error
    return 'refused'
  }
  return joined(told)
}

function theirs(text: string): Told {
  const told: string[] = []
  let depth = 0
  const parser = new SaxesParser({})
  parser.on('opentag', ({ name, attributes }) => {
    depth++
    told.push(`<${name} ${JSON.stringify(attributes)}`)
  })
  parser.on('text', part => depth > 0 && told.push(`"${part}`))
  parser.on('cdata', part => told.push(`"${part}`))
  parser.on('closetag', ({ name }) => {
    depth--
    told.push(`/${name}`)
  })
  parser.on('error', error => {
    throw error
  })
  try {
    parser.write(text).close()
  } catch {
    return 'refused'
  }
  return joined(told)
}

function joined(told: string[]): string[] {
  const out: string[] = []
  for (const one of told) {
    if (one === '"') continue
    if (one.startsWith('"') && out.at(-1)?.startsWith('"')) out[out.length - 1] += one.slice(1)
    else out.push(one)
  }
  return out
}

const piece = fc.oneof(
  fc.constantFrom(
    'a',
    'x > y',
    ' ',
    '\n',
    '\r\n',
    '&amp;',
    '&lt;',
    '&#65;',
    '&#x1F600;',
    '한국',
    "'",
    '"',
    '<![CDATA[<b>]]>',
    '<!-- - -->',
  ),
  fc.constantFrom(
    '<c/>',
    '<c d="1" e=\'&quot;2"\'/>',
    '<c >t</c >',
    '<rpm:entry name="a>b" flags="EQ"\n ver="1"/>',
  ),
)
const good = fc
  .array(piece, { maxLength: 12 })
  .map(parts => `<?xml version="1.0" encoding="UTF-8"?>\n<a b="c">${parts.join('')}</a>\n`)
const bad = fc.constantFrom(
  '<',
  '>',
  '&',
  '&nbsp;',
  '&#0;',
  '&#xD800;',
  '\0',
  '\u0001',
  ']]>',
  '</a>',
  '<a>',
  '<!DOCTYPE a>',
  '<b c="1" c="2"/>',
  '<b c=1/>',
  '<b c="<"/>',
  '<!-- -- -->',
  '<1/>',
  '<b c="1"d="2"/>',
  '"',
  '=',
)

describe('the scanner of lists', () => {
  it('tells what an XML parser tells, however the text comes', () => {
    fc.assert(
      fc.property(good, fc.array(fc.nat(300), { maxLength: 5 }), (text, cuts) => {
        const told = ours(text, cuts)
        expect(told).not.toBe('refused')
        expect(told).toEqual(theirs(text))
      }),
      { numRuns: 2000 },
    )
  })

  it('takes nothing that an XML parser refuses', () => {
    fc.assert(
      fc.property(
        good,
        bad,
        fc.nat(),
        fc.array(fc.nat(300), { maxLength: 3 }),
        (text, wrong, place, cuts) => {
          const at = place % (text.length + 1)
          const changed = text.slice(0, at) + wrong + text.slice(at)
          const told = ours(changed, cuts)
          if (told !== 'refused') expect(told).toEqual(theirs(changed))
        },
      ),
      { numRuns: 5000 },
    )
  })

  it.each([
    ['a document type', '<!DOCTYPE a [<!ENTITY b "c">]><a/>'],
    ['entities that nobody defined', '<a>&lol;</a>'],
    ['two documents', '<a/><a/>'],
    ['no end', '<a><b></b>'],
    ['an end in a tag', '<a><b c="'],
    ['text behind', '<a/>x'],
    ['nothing', ''],
    ['a tag that closes another', '<a><b></a></b>'],
    ['an instruction', '<a><?php x ?></a>'],
    ['depth', '<a>'.repeat(100)],
  ])('fault 48: %s', (_what, text) => {
    expect(ours(text)).toBe('refused')
  })

  it.each([
    ['text', '<a>'.padEnd(64 << 20, 'x')],
    ['blanks in a tag', '<a'.padEnd(32 << 20, ' ')],
    ['quotes', `<a b="${'x'.repeat(32 << 20)}`],
    ['attributes', `<a ${'b="" '.repeat(1 << 20)}`],
    ['a comment', '<!--'.padEnd(32 << 20, '-')],
    ['ampersands', `<a>${'&'.repeat(1 << 20)}</a>`],
  ])('ends soon with %s that never end', (_what, text) => {
    const started = performance.now()
    expect(
      ours(
        text,
        Array.from({ length: text.length >> 16 }, (_, i) => i << 16),
      ),
    ).toBe('refused')
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})
