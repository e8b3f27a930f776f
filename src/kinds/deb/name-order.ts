import type { Candidate } from './candidate.ts'

/**
 * apt numbers packages as their names come up, as a stanza or in a relation of another one, and between equal providers
 * takes the one numbered last. Nobody would design it so, but the site's apt decides alike.
 *
 * Read only as far as a question needs: to tell two names apart it is enough to come upon one of them.
 */
export class NameOrder {
  readonly #candidates: Candidate[]
  readonly #native: string
  readonly #order = new Map<string, number>()
  #next = 0

  constructor(candidates: Candidate[], native: string) {
    this.#candidates = candidates
    this.#native = native
  }

  /** Negative where `a` came up before `b`; names of other architectures as `name:i386`. */
  compare(a: string, b: string): number {
    while (!this.#order.has(a) && !this.#order.has(b) && this.#next < this.#candidates.length) {
      this.#read(this.#candidates[this.#next++]!)
    }
    const never = Number.MAX_SAFE_INTEGER
    return (this.#order.get(a) ?? never) - (this.#order.get(b) ?? never)
  }

  #read(candidate: Candidate): void {
    const { architecture } = candidate
    const suffix = architecture === 'all' || architecture === this.#native ? '' : `:${architecture}`
    this.#add(candidate.name + suffix)
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

  #add(name: string): void {
    if (!this.#order.has(name)) this.#order.set(name, this.#order.size)
  }

  /** The names of a relationship field; by hand, as it is the larger part of an archive's text. */
  #addAll(field: string | undefined, suffix: string): void {
    if (field === undefined) return
    const { length } = field
    let at = 0
    while (at < length) {
      while (at < length && !isName(field.charCodeAt(at))) at++
      const start = at
      while (at < length && isName(field.charCodeAt(at))) at++
      // a name with an architecture (`python3:any`) is another package to apt
      if (at > start && field.charCodeAt(at) !== colon) this.#add(field.slice(start, at) + suffix)
      while (at < length && !isSeparator(field.charCodeAt(at))) at++
    }
  }
}

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
