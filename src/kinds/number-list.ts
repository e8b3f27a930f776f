/** A list of unsigned 32-bit numbers that grows; an array of a million numbers would take twice the memory, and be copied at the end. */
export class NumberList {
  length = 0
  #items = new Uint32Array(1024)

  static from(items: Uint32Array<ArrayBuffer>): NumberList {
    const list = new NumberList()
    list.#items = items
    list.length = items.length
    return list
  }

  push(value: number): void {
    if (this.length === this.#items.length) {
      const larger = new Uint32Array(2 * this.length)
      larger.set(this.#items)
      this.#items = larger
    }
    this.#items[this.length++] = value
  }

  add(others: NumberList): void {
    for (let i = 0; i < others.length; i++) this.push(others.at(i))
  }

  at(i: number): number {
    return this.#items[i]!
  }

  set(i: number, value: number): void {
    this.#items[i] = value
  }

  /** A view of the numbers so far. */
  toArray(): Uint32Array<ArrayBuffer> {
    return this.#items.subarray(0, this.length)
  }
}

/** Positions of a list by their keys: those of `key` are `entries.subarray(first[key], first[key + 1])`, in their order. */
export interface Grouped {
  first: Uint32Array<ArrayBuffer>
  entries: Uint32Array<ArrayBuffer>
}

/** Groups the values by the keys beside them, which are smaller than `count`. */
export function groupByKey(
  keys: NumberList,
  { values, count }: { values: NumberList; count: number },
): Grouped {
  const first = new Uint32Array(count + 1)
  for (let i = 0; i < keys.length; i++) first[keys.at(i) + 1]!++
  for (let key = 0; key < count; key++) first[key + 1]! += first[key]!
  const next = first.slice()
  const entries = new Uint32Array(keys.length)
  for (let i = 0; i < keys.length; i++) entries[next[keys.at(i)]!++] = values.at(i)
  return { first, entries }
}
