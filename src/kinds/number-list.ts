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

  /** A view of the numbers so far. */
  toArray(): Uint32Array<ArrayBuffer> {
    return this.#items.subarray(0, this.length)
  }
}
