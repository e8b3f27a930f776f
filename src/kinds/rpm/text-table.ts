import { NumberList } from '../number-list.ts'
import { malformed } from './strict-xml.ts'

/** A table's form on disk: its columns. */
export interface TextColumns {
  /** UTF-8, one text behind the other */
  texts: Uint8Array<ArrayBuffer>
  /** of each text in `texts`, and the end of the last */
  textStarts: Uint32Array<ArrayBuffer>
  /** hash table with open addressing: number + 1, 0 where the slot is free; a power of two */
  textSlots: Uint32Array<ArrayBuffer>
}

/** In a table that is at most half full, runs of taken slots are far shorter. */
const longestRun = 512

/** Numbers texts in the order in which they are added; equal texts have one number. */
export class TextTable {
  #bytes: Buffer<ArrayBuffer>
  #length: number /* bytes */
  readonly #starts: NumberList
  #slots: Uint32Array<ArrayBuffer>
  readonly #item: string
  readonly #known: (string | undefined)[] = []

  private constructor(
    item: string,
    {
      bytes,
      starts,
      slots,
    }: { bytes: Buffer<ArrayBuffer>; starts: NumberList; slots: Uint32Array<ArrayBuffer> },
  ) {
    this.#item = item
    this.#bytes = bytes
    this.#length = starts.at(starts.length - 1)
    this.#starts = starts
    this.#slots = slots
  }

  /** `item` is the list whose texts it has, for messages. */
  static of(texts: readonly string[], item: string): TextTable {
    const starts = new NumberList()
    starts.push(0)
    const bytes = Buffer.from(new ArrayBuffer(1 << 14))
    const table = new TextTable(item, { bytes, starts, slots: new Uint32Array(1 << 10) })
    for (const text of texts) table.numberOfText(text)
    return table
  }

  static from({ texts, textStarts, textSlots }: TextColumns, item: string): TextTable {
    const bytes = Buffer.from(texts.buffer, texts.byteOffset, texts.byteLength)
    return new TextTable(item, { bytes, starts: NumberList.from(textStarts), slots: textSlots })
  }

  columns(): TextColumns {
    return {
      texts: this.#bytes.subarray(0, this.#length),
      textStarts: this.#starts.toArray(),
      textSlots: this.#slots,
    }
  }

  get count(): number {
    return this.#starts.length - 1
  }

  /** Returns the number of a text; adds it where it is new. */
  numberOf(bytes: Uint8Array, start: number, end: number): number {
    const slot = this.#slotOf(bytes, { start, end })
    const known = this.#slots[slot]!
    if (known !== 0) return known - 1
    const number = this.count
    this.#slots[slot] = number + 1
    this.#add(bytes, { start, end })
    return number
  }

  numberOfText(text: string): number {
    const bytes = Buffer.from(text)
    return this.numberOf(bytes, 0, bytes.length)
  }

  /** Returns the number of a text, or -1. */
  find(text: string): number {
    const bytes = Buffer.from(text)
    return this.#slots[this.#slotOf(bytes, { start: 0, end: bytes.length })]! - 1
  }

  text(number: number): string {
    return (this.#known[number] ??= this.#bytes.toString(
      'utf8',
      this.#starts.at(number),
      this.#starts.at(number + 1),
    ))
  }

  startsWith(number: number, start: Uint8Array): boolean {
    const at = this.#starts.at(number)
    if (this.#starts.at(number + 1) - at < start.length) return false
    for (let i = 0; i < start.length; i++) if (this.#bytes[at + i] !== start[i]) return false
    return true
  }

  /** Whether a text has lower-case hexadecimal digits only; makes no text of it. */
  isLowerHex(number: number): boolean {
    for (let at = this.#starts.at(number); at < this.#starts.at(number + 1); at++) {
      const byte = this.#bytes[at]!
      if (byte < 0x30 || byte > 0x66 || (byte > 0x39 && byte < 0x61)) return false
    }
    return true
  }

  isAt(number: number, bytes: Uint8Array, { start, end }: { start: number; end: number }): boolean {
    let at = this.#starts.at(number)
    if (this.#starts.at(number + 1) - at !== end - start) return false
    const own = this.#bytes
    for (let i = start; i < end; i++) if (bytes[i] !== own[at++]) return false
    return true
  }

  /** The slot of a text, or the free one where it belongs. */
  #slotOf(bytes: Uint8Array, place: { start: number; end: number }): number {
    const mask = this.#slots.length - 1
    let slot = hashOf(bytes, place.start, place.end) & mask
    for (let run = 0; run < longestRun; run++) {
      const known = this.#slots[slot]!
      if (known === 0 || this.isAt(known - 1, bytes, place)) return slot
      slot = (slot + 1) & mask
    }
    // names that were chosen to have one hash would take quadratic time (CWE-407)
    throw malformed('its names are chosen to make reading slow', this.#item)
  }

  #add(bytes: Uint8Array, { start, end }: { start: number; end: number }): void {
    const length = this.#length + end - start
    if (length > this.#bytes.length) {
      const larger = Buffer.from(new ArrayBuffer(2 * length))
      larger.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = larger
    }
    const own = this.#bytes
    for (let i = start, at = this.#length; i < end; i++) own[at++] = bytes[i]!
    this.#length = length
    this.#starts.push(length)
    if (2 * this.count > this.#slots.length) this.#grow()
  }

  #grow(): void {
    const slots = new Uint32Array(2 * this.#slots.length)
    const mask = slots.length - 1
    for (let number = 0; number < this.count; number++) {
      let slot = hashOf(this.#bytes, this.#starts.at(number), this.#starts.at(number + 1)) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = number + 1
    }
    this.#slots = slots
  }
}

/** FNV-1a, its high bits mixed into the low ones, which choose the slot */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return (hash ^ (hash >>> 15)) >>> 0
}
