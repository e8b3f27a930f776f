import { malformed } from './repomd.ts'

/** Events in document order. Entities are resolved; the text of an element comes in parts. */
export interface XmlHandlers {
  open(name: string, attributes: Record<string, string>): void
  text(part: string): void
  close(name: string): void
}

const tag = /<([A-Za-z_:][\w:.-]*)((?:\s+[A-Za-z_:][\w:.-]*\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/y
const endTag = /<\/([A-Za-z_:][\w:.-]*)\s*>/y
const declaration =
  /^\uFEFF?<\?xml\s+version\s*=\s*(["'])1\.[0-9]\1(?:\s+encoding\s*=\s*(["'])[Uu][Tt][Ff]-?8\2)?(?:\s+standalone\s*=\s*(["'])(?:yes|no)\3)?\s*\?>/
/** XML 1.0, production 2 */
const forbidden = /[\0-\x08\x0B\x0C\x0E-\x1F\uFFFE\uFFFF]/
const entities: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }
const maxDepth = 64
/** of one tag, one text, one comment */
const maxPiece = 1 << 20 /* characters */

/**
 * Scans the XML that createrepo writes, and no more: elements, attributes, text, CDATA, comments, XML's own entities. A document
 * type, a processing instruction and anything not well-formed are errors (fault 48). It takes half the time of a full XML parser.
 */
export class XmlScanner {
  readonly #handlers: XmlHandlers
  readonly #item: string
  readonly #open: string[] = []
  #held = ''
  #begun = false
  #rooted = false

  constructor(item: string, handlers: XmlHandlers) {
    this.#item = item
    this.#handlers = handlers
  }

  write(part: string): void {
    if (forbidden.test(part)) throw this.#fail('it has a control character')
    this.#held = this.#scan(this.#held + part, false)
  }

  close(): void {
    const rest = this.#scan(this.#held, true)
    if (rest !== '' || this.#open.length > 0) throw this.#fail('it is truncated')
    if (!this.#rooted) throw this.#fail('it is empty')
  }

  /** Returns the incomplete rest. */
  #scan(text: string, last: boolean): string {
    let at = 0
    if (!this.#begun) {
      // the declaration arrives in one part with what follows it
      if (!last && text.length < 256) return text
      at = declaration.exec(text)?.[0].length ?? (text.startsWith('\uFEFF') ? 1 : 0)
      this.#begun = true
    }
    for (;;) {
      const next = text.indexOf('<', at)
      if (next < 0) {
        if (!last) return this.#rest(text, at)
        this.#text(text.slice(at))
        return ''
      }
      if (next > at) this.#text(text.slice(at, next))
      const end = this.#markup(text, next)
      if (end < 0) return this.#rest(text, next)
      at = end
    }
  }

  #rest(text: string, at: number): string {
    if (text.length - at > maxPiece) throw this.#fail('an unterminated text or tag')
    return text.slice(at)
  }

  /** Returns the end of the markup at `at`; negative where it has not arrived yet. */
  #markup(text: string, at: number): number {
    const second = text[at + 1]
    if (second === '!' || second === '?') return this.#special(text, at)
    const closing = second === '/'
    const innermost = this.#open.at(-1)
    // the common case; the pattern below is for the rest
    if (closing && innermost !== undefined && text.startsWith(`${innermost}>`, at + 2)) {
      this.#close(innermost)
      return at + 2 + innermost.length + 1
    }
    const pattern = closing ? endTag : tag
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match === null) {
      if (endOfTag(text, at) < 0) return -1
      throw this.#fail('a tag is malformed')
    }
    if (closing) this.#close(match[1]!)
    else this.#element(match[1]!, match[2]!, match[3] === '/')
    return pattern.lastIndex
  }

  /** Comments and CDATA; refuses everything else that begins with `<!` or `<?`. */
  #special(text: string, at: number): number {
    if (text.startsWith('<!--', at)) {
      const end = text.indexOf('--', at + 4)
      if (end < 0 || end + 2 >= text.length) return -1
      if (text[end + 2] !== '>') throw this.#fail('a comment with -- in it')
      return end + 3
    }
    if (text.startsWith('<![CDATA[', at)) {
      const end = text.indexOf(']]>', at)
      if (end < 0) return -1
      if (this.#open.length === 0) throw this.#fail('text outside of the root element')
      this.#handlers.text(text.slice(at + '<![CDATA['.length, end).replace(/\r\n?/g, '\n'))
      return end + ']]>'.length
    }
    if (text[at + 1] === '?') throw this.#fail('it has a processing instruction')
    if (text.length >= at + '<![CDATA['.length) throw this.#fail('it has a document type')
    return -1
  }

  #element(name: string, attributes: string, empty: boolean): void {
    if (this.#open.length === 0 && this.#rooted) throw this.#fail('two documents in one')
    if (this.#open.length >= maxDepth) throw this.#fail('nested too deeply')
    this.#rooted = true
    this.#open.push(name)
    this.#handlers.open(name, attributes === '' ? {} : this.#attributes(attributes))
    if (empty) this.#close(name)
  }

  /** The tag pattern guarantees the form: name, equals sign, quoted value. */
  #attributes(written: string): Record<string, string> {
    const found: Record<string, string> = {}
    for (let at = 0; ; ) {
      const equals = written.indexOf('=', at)
      if (equals < 0) return found
      const name = written.slice(at, equals).trim()
      let start = equals + 1
      while (written[start] !== '"' && written[start] !== "'") start++
      const end = written.indexOf(written[start]!, start + 1)
      if (Object.hasOwn(found, name)) throw this.#fail(`the attribute ${name} occurs twice`)
      const value = written.slice(start + 1, end)
      found[name] = /[&\t\n\r]/.test(value) ? this.#plain(value.replace(/\r\n|[\t\n\r]/g, ' ')) : value
      at = end + 1
    }
  }

  #close(name: string): void {
    if (this.#open.pop() !== name) throw this.#fail(`</${name}> has no start tag`)
    this.#handlers.close(name)
  }

  #text(text: string): void {
    if (this.#open.length === 0) {
      if (/[^ \t\r\n]/.test(text)) throw this.#fail('text outside of the root element')
      return
    }
    if (text.includes(']]>')) throw this.#fail('it has ]]> in a text')
    this.#handlers.text(/[&\r]/.test(text) ? this.#plain(text.replace(/\r\n?/g, '\n')) : text)
  }

  #plain(text: string): string {
    return text.replace(/&([^;&]{0,12};?)/g, (_, name: string) => {
      const plain = this.#entity(name)
      if (plain === undefined) throw this.#fail(`it has an unknown entity &${name}`)
      return plain
    })
  }

  #entity(written: string): string | undefined {
    if (!written.endsWith(';')) return undefined
    const name = written.slice(0, -1)
    if (Object.hasOwn(entities, name)) return entities[name]
    const digits = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name)
    if (digits === null) return undefined
    const code = digits[1] === undefined ? Number(digits[2]) : Number.parseInt(digits[1], 16)
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined
    const plain = String.fromCodePoint(code)
    return forbidden.test(plain) ? undefined : plain
  }

  #fail(what: string) {
    return malformed(what, this.#item)
  }
}

/** The first `>` outside of quotes; negative where it has not arrived yet. */
function endOfTag(text: string, at: number): number {
  let quote = ''
  for (let i = at; i < text.length; i++) {
    const character = text[i]!
    if (quote !== '') quote = character === quote ? '' : quote
    else if (character === '>') return i
    else if (character === '"' || character === "'") quote = character
  }
  return -1
}
