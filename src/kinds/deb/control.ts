import { AirgapError } from '../../core/errors.ts'

/** Position of a stanza in its file, in bytes, without the blank line after it. */
export interface StanzaPlace {
  offset: number
  length: number
}

/** Lower-case field → value, for the wanted fields; lines of a folded field are joined with a space. */
export type Stanza = Record<string, string>

/** Far above any real stanza; bounds the memory that a malicious index can claim. */
const maxLine = 4 * 1024 * 1024 /* bytes */

const newline = 0x0a
const space = 0x20
const tab = 0x09
const carriageReturn = 0x0d
const colon = 0x3a

/**
 * Reads deb822 (Debian policy 5.1) as a stream, in memory bounded by one line and one stanza's wanted fields. Values are
 * latin1: the wanted fields are ASCII, and the stanza itself is read again, byte for byte, where it is needed.
 */
export async function readStanzas(
  body: AsyncIterable<Uint8Array>,
  {
    wanted,
    item,
    each,
  }: { wanted: readonly string[]; item: string; each(stanza: Stanza, place: StanzaPlace): void },
): Promise<void> {
  const scanner = new StanzaScanner({ wanted, item, end })
  for await (const chunk of body) scanner.read(chunk)
  scanner.end()

  function end(place: StanzaPlace): void {
    const { starts, ends, present } = scanner
    const text = Buffer.from(scanner.text.buffer)
    const stanza: Stanza = {}
    for (const field of present) stanza[wanted[field]!] = text.toString('latin1', starts[field], ends[field])
    scanner.length = 0
    each(stanza, place)
  }
}

/**
 * Splits deb822 into stanzas, and copies the values of the wanted fields, one after another, to `text`. Works on bytes: most lines of an
 * index are not wanted, and a string for each of the others would take longer than everything else. After each stanza, `end` finds its
 * fields in `present`, `starts` and `ends`, and may set `length` back to drop them. Throws UPSTREAM_INVALID.
 */
export class StanzaScanner {
  text = new Uint8Array(1 << 16)
  /** of `text`: the bytes in use */
  length = 0
  /** fields of the current stanza, as indexes into `wanted`, in their order */
  readonly present: number[] = []
  /** by field: where its value is in `text`; -1 where the stanza does not have it */
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly #wanted: readonly Buffer[]
  readonly #item: string
  readonly #end: (place: StanzaPlace) => void
  /** fields by the shape of their names: most lines are recognised as unwanted by length and first letter */
  readonly #byShape: (readonly number[] | undefined)[] = []
  /** the beginning of a line whose end has not been read yet */
  #held: Uint8Array[] = []
  #heldLength = 0
  /** in the file, of the next line */
  #position = 0
  #offset = -1
  #stop = 0
  #field = -1

  constructor({
    wanted,
    item,
    end,
  }: { wanted: readonly string[]; item: string; end(place: StanzaPlace): void }) {
    this.#wanted = wanted.map(name => Buffer.from(name, 'latin1'))
    this.#item = item
    this.#end = end
    this.starts = new Int32Array(wanted.length).fill(-1)
    this.ends = new Int32Array(wanted.length).fill(-1)
    for (const [field, name] of this.#wanted.entries()) {
      const shape = shapeOf(name.length, name[0]!)
      this.#byShape[shape] = [...(this.#byShape[shape] ?? []), field]
    }
  }

  /** The next bytes of the file. */
  read(chunk: Uint8Array): void {
    let start = 0
    if (this.#heldLength > 0) {
      const first = chunk.indexOf(newline) + 1
      this.#hold(chunk.subarray(0, first || chunk.length))
      if (first === 0) return
      this.#scanHeld()
      start = first
    }
    const end = chunk.lastIndexOf(newline) + 1
    this.#scan(chunk, start, end)
    // a copy: the chunk belongs to the caller again
    this.#hold(chunk.slice(Math.max(start, end)))
  }

  end(): void {
    if (this.#heldLength > 0) {
      this.#hold(Uint8Array.of(newline))
      this.#scanHeld()
    }
    this.#endStanza()
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes)
    this.#heldLength += bytes.length
    if (this.#heldLength > maxLine) throw malformed(`a line of more than ${maxLine} bytes`, this.#item)
  }

  #scanHeld(): void {
    const line = Buffer.concat(this.#held)
    this.#held = []
    this.#heldLength = 0
    this.#scan(line, 0, line.length)
  }

  /** Whole lines. */
  #scan(bytes: Uint8Array, start: number, end: number): void {
    const before = this.#position - start
    for (let at = start; at < end; ) {
      let stop = at
      while (bytes[stop] !== newline) stop++
      this.#position = before + at
      this.#line(bytes, at, stop)
      at = stop + 1
    }
    this.#position = before + Math.max(start, end)
  }

  #line(bytes: Uint8Array, start: number, stop: number): void {
    const first = bytes[start]!
    if (isSpaceOrEnd(first) && isBlank(bytes, start, stop)) {
      this.#endStanza()
      return
    }
    if (this.#offset < 0) this.#offset = this.#position
    this.#stop = this.#position + stop - start
    if (first === space || first === tab) {
      if (this.#field >= 0) this.#append(bytes, start, stop)
      return
    }
    let mark = start
    while (mark < stop && bytes[mark] !== colon) mark++
    if (mark === stop || mark === start) {
      const text = Buffer.from(bytes.subarray(start, Math.min(stop, start + 80))).toString('latin1')
      throw malformed(`not a field: ${JSON.stringify(text)}`, this.#item)
    }
    this.#field = this.#fieldAt(bytes, start, mark)
    if (this.#field < 0) return
    if (this.starts[this.#field]! >= 0) {
      const name = this.#wanted[this.#field]!.toString('latin1')
      throw malformed(`the field ${name} occurs twice in a stanza`, this.#item)
    }
    this.present.push(this.#field)
    this.starts[this.#field] = this.length
    this.#append(bytes, mark + 1, stop)
  }

  /** Adds a line, trimmed, to the value of the current field. */
  #append(bytes: Uint8Array, start: number, stop: number): void {
    while (start < stop && isSpaceOrEnd(bytes[start]!)) start++
    while (stop > start && isSpaceOrEnd(bytes[stop - 1]!)) stop--
    const needed = this.length + 1 + stop - start
    if (needed > this.text.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.text.length))
      larger.set(this.text.subarray(0, this.length))
      this.text = larger
    }
    const { text } = this
    let { length } = this
    if (this.ends[this.#field]! >= 0) text[length++] = space
    for (let i = start; i < stop; i++) text[length++] = bytes[i]!
    this.length = length
    this.ends[this.#field] = length
  }

  #fieldAt(bytes: Uint8Array, start: number, stop: number): number {
    const fields = this.#byShape[shapeOf(stop - start, bytes[start]!)]
    if (fields === undefined) return -1
    for (const field of fields) if (isNamed(bytes, start, this.#wanted[field]!)) return field
    return -1
  }

  #endStanza(): void {
    if (this.#offset >= 0) this.#end({ offset: this.#offset, length: this.#stop - this.#offset })
    for (const field of this.present) {
      this.starts[field] = -1
      this.ends[field] = -1
    }
    this.present.length = 0
    this.#offset = -1
    this.#field = -1
  }
}

/** Names of other lengths have no shape of their own; none of them is wanted. */
const maxShaped = 64

function shapeOf(length: number, first: number): number {
  return Math.min(length, maxShaped) * 256 + (first | 0x20)
}

/** Whether a field of the length of `name` has this name, in any case. */
function isNamed(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i]!
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== name[i]) return false
  }
  return true
}

function isSpaceOrEnd(byte: number): boolean {
  return byte === space || byte === tab || byte === carriageReturn || byte === newline
}

/** A line of spaces also ends a stanza, as in apt (policy 5.1 forbids it inside one). */
function isBlank(bytes: Uint8Array, start: number, stop: number): boolean {
  for (let i = start; i < stop; i++) if (!isSpaceOrEnd(bytes[i]!)) return false
  return true
}

function malformed(why: string, item: string): AirgapError {
  return new AirgapError('UPSTREAM_INVALID', `the package index is malformed: ${why}`, {
    item,
    likely: 'an archive made with broken tools',
    next: 'report it to the maintainers of the archive, or use another mirror',
  })
}
