/** Reads a stream in pieces of the sizes that its format asks for, holding one chunk at a time. */
export class ByteQueue {
  readonly #chunks: AsyncIterator<Uint8Array>
  #current: Buffer = Buffer.alloc(0)
  #ended = false

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Returns exactly `size` bytes, or fewer where the stream ends before. The caller limits `size`. */
  async read(size: number): Promise<Buffer> {
    if (this.#current.length >= size) return this.#take(size)
    const parts: Buffer[] = []
    for await (const part of this.pieces(size)) parts.push(part)
    return Buffer.concat(parts)
  }

  /** Yields the next `size` bytes as they arrive; fewer where the stream ends before. */
  async *pieces(size: number): AsyncGenerator<Buffer> {
    let left = size
    while (left > 0 && (await this.#fill())) {
      const part = this.#take(left)
      left -= part.length
      yield part
    }
  }

  /** Skips bytes without an allocation; returns how many there were. */
  async skip(size: number): Promise<number> {
    let left = size
    while (left > 0 && (await this.#fill())) left -= this.#take(left).length
    return size - left
  }

  async #fill(): Promise<boolean> {
    while (this.#current.length === 0) {
      if (this.#ended) return false
      const { done, value } = await this.#chunks.next()
      if (done) this.#ended = true
      else this.#current = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    }
    return true
  }

  #take(size: number): Buffer {
    const part = this.#current.subarray(0, size)
    this.#current = this.#current.subarray(part.length)
    return part
  }
}
