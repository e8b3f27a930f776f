/** Reusable buffers of one size. A buffer goes back with `give` once nothing reads or writes it. */
export class BufferPool {
  readonly bufferSize: number
  readonly #free: Buffer[] = []

  constructor(bufferSize: number /* bytes */) {
    this.bufferSize = bufferSize
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.bufferSize)
  }

  give(buffer: Buffer): void {
    this.#free.push(buffer)
  }
}
