import { AirgapError } from '../../core/errors.ts'
import { NumberList } from '../number-list.ts'

/** Names and their numbers. A name is a place in a text, which the table does not have itself. */
export interface NameColumns {
  nameStarts: Uint32Array<ArrayBuffer>
  nameEnds: Uint32Array<ArrayBuffer>
  /** hash table with open addressing: number + 1, 0 where the slot is free; a power of two */
  nameSlots: Uint32Array<ArrayBuffer>
}

/** In a table that is at most half full, runs of taken slots are far shorter. */
const longestRun = 512

const hashStart = 0x811c9dc5 | 0
/** FNV-1a */
const hashed = (hash: number, code: number) => Math.imul(hash ^ code, 0x01000193)
const slotOf = (hash: number, slots: number) => (hash ^ (hash >>> 15)) & (slots - 1)

/** Numbers names in the order in which they are added. */
export class NameTableBuilder {
  readonly #starts = new NumberList()
  readonly #ends = new NumberList()
  #slots = new Uint32Array(1 << 14)
  readonly #item: string

  /** `item`: the index, for messages */
  constructor(item: string) {
    this.#item = item
  }

  get length(): number {
    return this.#starts.length
  }

  /** Returns the number of the name that is at this place of the text, the same text for all names. Throws UPSTREAM_INVALID. */
  numberOf(text: Uint8Array, start: number, end: number): number {
    const { length } = this.#slots
    let slot = slotOf(hashOf(text, start, end), length)
    for (let run = 0; this.#slots[slot] !== 0; run++) {
      if (run > longestRun) throw colliding(this.#item)
      const number = this.#slots[slot]! - 1
      if (this.#isAt(number, text, { start, end })) return number
      slot = (slot + 1) & (length - 1)
    }
    const number = this.#starts.length
    this.#starts.push(start)
    this.#ends.push(end)
    this.#slots[slot] = number + 1
    if (2 * this.length > length) this.#grow(text)
    return number
  }

  #isAt(number: number, text: Uint8Array, { start, end }: { start: number; end: number }): boolean {
    let at = this.#starts.at(number)
    if (this.#ends.at(number) - at !== end - start) return false
    for (let i = start; i < end; i++) if (text[i] !== text[at++]) return false
    return true
  }

  #grow(text: Uint8Array): void {
    const slots = new Uint32Array(4 * this.#slots.length)
    for (let number = 0; number < this.length; number++) {
      let slot = slotOf(hashOf(text, this.#starts.at(number), this.#ends.at(number)), slots.length)
      while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1)
      slots[slot] = number + 1
    }
    this.#slots = slots
  }

  columns(): NameColumns {
    return { nameStarts: this.#starts.toArray(), nameEnds: this.#ends.toArray(), nameSlots: this.#slots }
  }
}

/** Names that were chosen to have one hash would take quadratic time (CWE-407). */
function colliding(item: string): AirgapError {
  return new AirgapError(
    'UPSTREAM_INVALID',
    'the names in the package list are chosen to make reading slow',
    {
      item,
      likely: 'the archive is malicious: names of packages never collide so often by chance',
      next: 'do not use this archive; if you trust it, report this to its publisher',
    },
  )
}

function hashOf(text: Uint8Array, start: number, end: number): number {
  let hash = hashStart
  for (let i = start; i < end; i++) hash = hashed(hash, text[i]!)
  return hash
}

/** Returns the number of a name, or -1. */
export function findName(name: string, columns: NameColumns & { text: Uint8Array }): number {
  const { nameSlots, nameStarts, nameEnds, text } = columns
  let hash = hashStart
  for (let i = 0; i < name.length; i++) hash = hashed(hash, name.charCodeAt(i))
  let slot = slotOf(hash, nameSlots.length)
  for (;;) {
    const number = nameSlots[slot]! - 1
    if (number < 0) return -1
    const start = nameStarts[number]!
    if (nameEnds[number]! - start === name.length) {
      let i = 0
      while (i < name.length && text[start + i] === name.charCodeAt(i)) i++
      if (i === name.length) return number
    }
    slot = (slot + 1) & (nameSlots.length - 1)
  }
}
