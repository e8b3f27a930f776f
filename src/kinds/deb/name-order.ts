import type { Candidate } from './candidate.ts'

/**
 * The order in which apt's cache meets package names, in a stanza or in a relation of another package. apt decides between
 * equal providers by it (the last one wins), so the closure must, too.
 *
 * The index is read lazily: to order two names it is enough to meet one of them.
 */
export class NameOrder {
  readonly #candidates: Candidate[]
  readonly #native: string
  readonly #order = new FirstSeen()
  #next = 0

  constructor(candidates: Candidate[], native: string) {
    this.#candidates = candidates
    this.#native = native
  }

  /** Negative where `a` is met before `b`. Names of foreign architectures are written `name:i386`. */
  compare(a: string, b: string): number {
    while (
      this.#order.of(a) === never &&
      this.#order.of(b) === never &&
      this.#next < this.#candidates.length
    ) {
      this.#read(this.#candidates[this.#next++]!)
    }
    return this.#order.of(a) - this.#order.of(b)
  }

  #read(candidate: Candidate): void {
    const { architecture } = candidate
    const suffix = architecture === 'all' || architecture === this.#native ? '' : `:${architecture}`
    this.#order.add(candidate.name, 0, candidate.name.length, suffix)
    this.#addAll(candidate.preDepends, suffix)
    this.#addAll(candidate.depends, suffix)
    this.#addAll(candidate.conflicts, suffix)
    this.#addAll(candidate.breaks, suffix)
    this.#addAll(candidate.recommends, suffix)
    this.#addAll(candidate.suggests, suffix)
    this.#addAll(candidate.replaces, suffix)
    this.#addAll(candidate.enhances, suffix)
    this.#addAll(candidate.provides, suffix)
  }

  /** The names in a relationship field. A hand-written scanner, because these fields are most of an index's text. */
  #addAll(field: string | undefined, suffix: string): void {
    if (field === undefined) return
    const { length } = field
    let at = 0
    while (at < length) {
      while (at < length && !isName(field.charCodeAt(at))) at++
      const start = at
      while (at < length && isName(field.charCodeAt(at))) at++
      // to apt, a name with an architecture (`python3:any`) is another package
      if (at > start && field.charCodeAt(at) !== colon) this.#order.add(field, start, at, suffix)
      while (at < length && !isSeparator(field.charCodeAt(at))) at++
    }
  }
}

const never = 0x7fffffff
const initialSlots = 1 << 18

/**
 * The order of first occurrence, keyed by two 32-bit hashes of each name: a string for each of a million names would take
 * longer than everything else. Among 100,000 names the probability of a collision is below 10⁻⁹, and its only effect would
 * be another choice between equal providers.
 */
class FirstSeen {
  #first = new Int32Array(initialSlots)
  #second = new Int32Array(initialSlots)
  /** 0 where the slot is free */
  #order = new Int32Array(initialSlots)
  #size = 0
  /** hashes of the current name: FNV-1a and a polynomial one */
  #one = 0
  #two = 0

  add(text: string, start: number, end: number, suffix: string): void {
    this.#reset()
    this.#hash(text, start, end)
    this.#hash(suffix, 0, suffix.length)
    const slot = this.#slot(this.#one, this.#two)
    if (this.#order[slot] !== 0) return
    this.#first[slot] = this.#one
    this.#second[slot] = this.#two
    this.#order[slot] = ++this.#size
    if (this.#size * 2 > this.#order.length) this.#grow()
  }

  /** Returns `never` where the name was not added. */
  of(name: string): number {
    this.#reset()
    this.#hash(name, 0, name.length)
    return this.#order[this.#slot(this.#one, this.#two)] || never
  }

  #reset(): void {
    this.#one = hashStart
    this.#two = 0
  }

  #hash(text: string, start: number, end: number): void {
    let [one, two] = [this.#one, this.#two]
    for (let i = start; i < end; i++) {
      const code = text.charCodeAt(i)
      one = Math.imul(one ^ code, 0x01000193)
      two = (Math.imul(two, 31) + code) | 0
    }
    this.#one = one
    this.#two = two
  }

  #slot(first: number, second: number): number {
    const mask = this.#order.length - 1
    let slot = (first ^ (first >>> 15)) & mask
    while (this.#order[slot] !== 0 && (this.#first[slot] !== first || this.#second[slot] !== second))
      slot = (slot + 1) & mask
    return slot
  }

  #grow(): void {
    const [firsts, seconds, orders] = [this.#first, this.#second, this.#order]
    const slots = orders.length * 2
    this.#first = new Int32Array(slots)
    this.#second = new Int32Array(slots)
    this.#order = new Int32Array(slots)
    for (const [i, order] of orders.entries()) {
      if (order === 0) continue
      const slot = this.#slot(firsts[i]!, seconds[i]!)
      this.#first[slot] = firsts[i]!
      this.#second[slot] = seconds[i]!
      this.#order[slot] = order
    }
  }
}

const hashStart = 0x811c9dc5 | 0

const colon = 0x3a
const isSeparator = (code: number) => code === 0x2c || code === 0x7c
/** Policy 5.6.1, as lenient as relation.ts: letters, digits, `+ - . _` */
const isName = (code: number) =>
  (code >= 0x61 && code <= 0x7a) ||
  (code >= 0x30 && code <= 0x39) ||
  (code >= 0x41 && code <= 0x5a) ||
  code === 0x2b ||
  code === 0x2d ||
  code === 0x2e ||
  code === 0x5f
