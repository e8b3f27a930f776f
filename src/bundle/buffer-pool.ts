/** Reusable buffers of one size, which threads can read. A buffer goes back with `give` once nothing reads or writes it. */
export class BufferPool {
  readonly bufferSize: number
  readonly #free: Uint8Array<SharedArrayBuffer>[] = []

  constructor(bufferSize: number /* bytes */) {
    this.bufferSize = bufferSize
  }

  take(): Uint8Array<SharedArrayBuffer> {
    return this.#free.pop() ?? new Uint8Array(new SharedArrayBuffer(this.bufferSize))
  }

  give(buffer: Uint8Array<SharedArrayBuffer>): void {
    this.#free.push(buffer)
  }
}
