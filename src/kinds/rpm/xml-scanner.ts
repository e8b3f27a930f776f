import { malformed } from './strict-xml.ts'
import { TextTable } from './text-table.ts'
import {
  beyondAscii,
  brackets,
  ends,
  entityText,
  escapes,
  forbidden,
  inName,
  inText,
  inValue,
  isBlank,
  never,
} from './xml-characters.ts'

/** Events in document order. Names are numbers of `XmlScanner.names`; places are in `XmlScanner.bytes`, and valid during the call. */
export interface XmlHandlers {
  /** The attributes are those of the scanner. */
  open(name: number): void
  /** The text of an element may come in parts. */
  text(start: number, end: number, form: TextForm): void
  close(name: number): void
  /** Comments and CDATA, with their delimiters. */
  opaque?(start: number, end: number): void
}

/** How a text is written: as it is, with entities or `\r`, or the content of CDATA. */
export type TextForm = 'plain' | 'escaped' | 'cdata'

const declaration =
  /^<\?xml\s+version\s*=\s*(["'])1\.[0-9]\1(?:\s+encoding\s*=\s*(["'])[Uu][Tt][Ff]-?8\2)?(?:\s+standalone\s*=\s*(["'])(?:yes|no)\3)?\s*\?>/
const commonEntities = ['lt;', 'gt;', 'amp;', 'quot;', 'apos;'].map(text => Buffer.from(text))
const maxDepth = 64
const maxAttributes = 256
/** of one tag, one text, one comment */
const maxPiece = 1 << 20 /* bytes */

const greaterThan = 0x3e
const slash = 0x2f
const equalsSign = 0x3d
const doubleQuote = 0x22
const singleQuote = 0x27

/**
 * Scans the XML that createrepo writes, and no more: elements, attributes, text, CDATA, comments, XML's own entities. A document
 * type, a processing instruction and anything not well-formed are errors (fault 48). It reads bytes and makes no texts of them: it
 * takes a tenth of the time of a full XML parser.
 */
export class XmlScanner {
  /** Names of elements and attributes; the known ones have the numbers of their positions. */
  readonly names: TextTable
  bytes: Buffer = Buffer.allocUnsafeSlow(1 << 18)
  /** place of the tag of the present event */
  tagStart = 0
  tagEnd = 0
  /** attributes of the tag */
  count = 0
  readonly #attributeNames = new Int32Array(maxAttributes)
  readonly #attributeStarts = new Int32Array(maxAttributes)
  readonly #attributeEnds = new Int32Array(maxAttributes)
  readonly #attributeFlags = new Uint8Array(maxAttributes)
  readonly #handlers: XmlHandlers
  readonly #item: string
  readonly #open = new Int32Array(maxDepth)
  #depth = 0
  #begun = false
  #rooted = false
  /** place of the first byte that is not scanned yet, and of the end */
  #at = 0
  #end = 0
  /** offset in the document of the first byte in memory */
  #offset = 0

  constructor(item: string, { known, handlers }: { known: readonly string[]; handlers: XmlHandlers }) {
    this.#item = item
    this.#handlers = handlers
    this.names = TextTable.of(known, item)
  }

  write(part: Uint8Array): void {
    this.#append(part)
    this.#scan(false)
    if (this.#end - this.#at > maxPiece) throw this.#fail('an unterminated text or tag')
  }

  close(): void {
    this.#scan(true)
    if (this.#at < this.#end || this.#depth > 0) throw this.#fail('it is truncated')
    if (!this.#rooted) throw this.#fail('it is empty')
  }

  /** Returns the offset in the document of a place. */
  offsetOf(place: number): number {
    return this.#offset + place
  }

  /** Returns the position of an attribute of the present tag, or -1. */
  attribute(name: number): number {
    for (let i = 0; i < this.count; i++) if (this.#attributeNames[i] === name) return i
    return -1
  }

  attributeName(i: number): number {
    return this.#attributeNames[i]!
  }

  attributeText(i: number): string {
    const [start, end] = [this.#attributeStarts[i]!, this.#attributeEnds[i]!]
    const written = this.bytes.toString('utf8', start, end)
    return (this.#attributeFlags[i]! & escapes) === 0
      ? written
      : this.#plain(written.replace(/\r\n|[\t\n\r]/g, ' '))
  }

  /** Returns the value of an attribute that has 1 to 15 digits and nothing else; -1 for every other. */
  attributeNumber(i: number): number {
    const [start, end] = [this.#attributeStarts[i]!, this.#attributeEnds[i]!]
    if (this.#attributeFlags[i] !== 0) return numberIn(this.attributeText(i))
    if (end === start || end - start > 15) return -1
    let value = 0
    for (let at = start; at < end; at++) {
      const digit = this.bytes[at]! - 0x30
      if (digit < 0 || digit > 9) return -1
      value = 10 * value + digit
    }
    return value
  }

  /** Returns the number of an attribute's value in a table. */
  attributeIn(table: TextTable, i: number): number {
    if (this.#attributeFlags[i] === 0)
      return table.numberOf(this.bytes, this.#attributeStarts[i]!, this.#attributeEnds[i]!)
    return table.numberOfText(this.attributeText(i))
  }

  textAt(start: number, end: number, form: TextForm): string {
    const written = this.bytes.toString('utf8', start, end)
    if (form === 'plain') return written
    const lines = written.replace(/\r\n?/g, '\n')
    return form === 'cdata' ? lines : this.#plain(lines)
  }

  /** Moves what is not scanned yet to the front, where the part does not fit behind it; a long text is not copied with each part. */
  #append(part: Uint8Array): void {
    if (this.#end + part.length > this.bytes.length) {
      const start = this.#at
      const needed = this.#end - start + part.length
      const target = 2 * needed > this.bytes.length ? Buffer.allocUnsafeSlow(4 * needed) : this.bytes
      this.bytes.copy(target, 0, start, this.#end)
      this.bytes = target
      this.#offset += start
      this.#at = 0
      this.#end -= start
    }
    this.bytes.set(part, this.#end)
    this.#end += part.length
  }

  #scan(last: boolean): void {
    const { bytes } = this
    if (!this.#begun) {
      // the declaration arrives in one part with what follows it
      if (!last && this.#end < 259) return
      if (bytes.subarray(0, Math.min(3, this.#end)).equals(Buffer.from('\uFEFF'))) this.#at = 3
      const head = bytes.toString('latin1', this.#at, Math.min(this.#end, this.#at + 256))
      this.#at += declaration.exec(head)?.[0].length ?? 0
      this.#begun = true
    }
    for (;;) {
      let at = this.#at
      let flags = 0
      for (; at < this.#end; at++) {
        const kind = inText[bytes[at]!]!
        if (kind === 0) continue
        if (kind === ends) break
        flags |= kind
      }
      if (at === this.#end && !last) return
      if (at > this.#at) this.#text(this.#at, at, flags)
      this.#at = at
      if (at === this.#end) return
      const end = this.#markup(at)
      if (end < 0) return
      this.#at = end
    }
  }

  /** Returns the end of the markup at `at`; negative where it has not arrived yet. */
  #markup(at: number): number {
    if (at + 1 >= this.#end) return -1
    const second = this.bytes[at + 1]!
    if (second === 0x21 || second === 0x3f) return this.#special(at)
    return second === slash ? this.#endTag(at) : this.#startTag(at)
  }

  #endTag(at: number): number {
    const name = this.#nameEnd(at + 2)
    if (name < 0) throw this.#fail('a tag is malformed')
    let end = name
    while (end < this.#end && isBlank[this.bytes[end]!] === 1) end++
    if (end >= this.#end) return -1
    if (this.bytes[end] !== greaterThan) throw this.#fail('a tag is malformed')
    this.tagStart = at
    this.tagEnd = end + 1
    const innermost = this.#depth === 0 ? -1 : this.#open[this.#depth - 1]!
    if (innermost < 0 || !this.names.isAt(innermost, this.bytes, { start: at + 2, end: name }))
      throw this.#fail(
        `</${this.bytes.toString('latin1', at + 2, Math.min(name, at + 102))}> has no start tag`,
      )
    this.#close(innermost)
    return end + 1
  }

  /** Returns the end of a name; negative where none begins. */
  #nameEnd(start: number): number {
    if (start >= this.#end) return start
    if (inName[this.bytes[start]!] !== 2) return -1
    let end = start + 1
    while (end < this.#end && inName[this.bytes[end]!] !== 0) end++
    return end
  }

  #startTag(at: number): number {
    const { bytes } = this
    const length = this.#end
    const nameEnd = this.#nameEnd(at + 1)
    if (nameEnd < 0) throw this.#fail('a tag is malformed')
    this.count = 0
    let i = nameEnd
    for (;;) {
      const before = i
      while (i < length && isBlank[bytes[i]!] === 1) i++
      if (i >= length) return -1
      const byte = bytes[i]!
      if (byte === greaterThan) break
      if (byte === slash) {
        if (i + 1 >= length) return -1
        if (bytes[i + 1] !== greaterThan) throw this.#fail('a tag is malformed')
        break
      }
      i = i === before ? -2 : this.#attribute(i)
      if (i === -1) return -1
      if (i < 0) throw this.#fail('a tag is malformed')
    }
    const empty = bytes[i] === slash
    this.tagStart = at
    this.tagEnd = i + (empty ? 2 : 1)
    this.#element(this.names.numberOf(bytes, at + 1, nameEnd), empty)
    return this.tagEnd
  }

  /** Returns the end of the attribute at `at`; -1 where it has not arrived yet, -2 where it is malformed. */
  #attribute(at: number): number {
    const { bytes } = this
    const length = this.#end
    const nameEnd = this.#nameEnd(at)
    if (nameEnd < 0) return -2
    let i = nameEnd
    while (i < length && isBlank[bytes[i]!] === 1) i++
    if (i >= length) return -1
    if (bytes[i] !== equalsSign) return -2
    i++
    while (i < length && isBlank[bytes[i]!] === 1) i++
    if (i >= length) return -1
    const quote = bytes[i]!
    if (quote !== doubleQuote && quote !== singleQuote) return -2
    const start = ++i
    let flags = 0
    for (; i < length; i++) {
      const byte = bytes[i]!
      if (byte === quote) break
      flags |= inValue[byte]!
    }
    if ((flags & ends) !== 0) return -2
    if (i >= length) return -1
    if (flags !== 0) this.#check(start, i, flags)
    const name = this.names.numberOf(bytes, at, nameEnd)
    const own = this.count
    if (own >= maxAttributes) throw this.#fail('a tag has too many attributes')
    if (this.attribute(name) >= 0) throw this.#fail(`the attribute ${this.names.text(name)} occurs twice`)
    this.#attributeNames[own] = name
    this.#attributeStarts[own] = start
    this.#attributeEnds[own] = i
    this.#attributeFlags[own] = flags
    if ((flags & escapes) !== 0) this.#checkEntities(start, i)
    this.count = own + 1
    return i + 1
  }

  /** Comments and CDATA; refuses everything else that begins with `<!` or `<?`. */
  #special(at: number): number {
    const starts = (text: string) =>
      this.bytes.toString('latin1', at, Math.min(this.#end, at + text.length)) === text
    const find = (text: string, from: number) => {
      const found = this.bytes.subarray(0, this.#end).indexOf(text, from, 'latin1')
      return found
    }
    if (starts('<!--')) {
      const end = find('--', at + 4)
      if (end < 0 || end + 2 >= this.#end) return -1
      if (this.bytes[end + 2] !== greaterThan) throw this.#fail('a comment with -- in it')
      this.#checkRange(at, end)
      this.#handlers.opaque?.(at, end + 3)
      return end + 3
    }
    if (starts('<![CDATA[')) {
      const end = find(']]>', at)
      if (end < 0) return -1
      if (this.#depth === 0) throw this.#fail('text outside of the root element')
      this.#checkRange(at, end)
      this.#handlers.opaque?.(at, end + 3)
      this.#handlers.text(at + '<![CDATA['.length, end, 'cdata')
      return end + ']]>'.length
    }
    if (this.bytes[at + 1] === 0x3f) throw this.#fail('it has a processing instruction')
    if (this.#end - at >= '<![CDATA['.length) throw this.#fail('it has a document type')
    return -1
  }

  #element(name: number, empty: boolean): void {
    if (this.#depth === 0 && this.#rooted) throw this.#fail('two documents in one')
    if (this.#depth >= maxDepth) throw this.#fail('nested too deeply')
    this.#rooted = true
    this.#open[this.#depth++] = name
    this.#handlers.open(name)
    if (empty) this.#close(name)
  }

  #close(name: number): void {
    this.#depth--
    this.#handlers.close(name)
  }

  #text(start: number, end: number, flags: number): void {
    if (this.#depth === 0) {
      for (let i = start; i < end; i++)
        if (isBlank[this.bytes[i]!] === 0) throw this.#fail('text outside of the root element')
      return
    }
    if (flags !== 0) this.#check(start, end, flags)
    if ((flags & brackets) !== 0 && this.bytes.subarray(start, end).includes(']]>'))
      throw this.#fail('it has ]]> in a text')
    if ((flags & escapes) !== 0) this.#checkEntities(start, end)
    this.#handlers.text(start, end, (flags & escapes) === 0 ? 'plain' : 'escaped')
  }

  #checkRange(start: number, end: number): void {
    let flags = 0
    for (let i = start; i < end; i++) flags |= inText[this.bytes[i]!]!
    this.#check(start, end, flags)
  }

  /** Refuses characters that XML does not have. */
  #check(start: number, end: number, flags: number): void {
    const bad =
      (flags & never) !== 0 ||
      ((flags & beyondAscii) !== 0 && forbidden.test(this.bytes.toString('utf8', start, end)))
    if (bad) throw this.#fail('it has a control character')
  }

  /** Makes no text where only the usual entities occur. */
  #checkEntities(start: number, end: number): void {
    for (let at = start; at < end; at++) {
      if (this.bytes[at] !== 0x26 || commonEntities.some(name => this.#isAt(at + 1, name, end))) continue
      this.#plain(this.bytes.toString('utf8', start, end))
      return
    }
  }

  #isAt(place: number, text: Uint8Array, end: number): boolean {
    if (place + text.length > end) return false
    for (let i = 0; i < text.length; i++) if (this.bytes[place + i] !== text[i]) return false
    return true
  }

  #plain(text: string): string {
    return text.replace(/&([^;&]{0,12};?)/g, (_, name: string) => {
      const plain = entityText(name)
      if (plain === undefined) throw this.#fail(`it has an unknown entity &${name}`)
      return plain
    })
  }

  #fail(what: string) {
    return malformed(what, this.#item)
  }
}

function numberIn(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : -1
}
