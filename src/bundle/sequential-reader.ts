import type { ByteSource } from './byte-source.ts'

const bufferSize = 2 << 20 /* bytes, a multiple of the tar block */

/** Reads from `start` to `end` once, in order, one buffer ahead of who takes: reading and hashing overlap. */
export class SequentialReader {
  readonly #source: ByteSource
  readonly #end: number
  readonly #buffers: readonly [Buffer, Buffer]
  #current: Buffer = Buffer.alloc(0)
  #next: Promise<Buffer>
  #position: number
  #turn: 0 | 1 = 0

  constructor(source: ByteSource, range: { start: number; end: number }) {
    this.#source = source
    this.#position = range.start
    this.#end = range.end
    const size = Math.min(bufferSize, range.end - range.start)
    this.#buffers = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)]
    this.#next = this.#readAhead()
  }

  /** Between 1 and `max` bytes; the view is valid until the next call. Aligned blocks never come in two parts. */
  async take(max: number): Promise<Buffer> {
    if (this.#current.length === 0) {
      this.#current = await this.#next
      this.#next = this.#readAhead()
    }
    const taken = this.#current.subarray(0, max)
    this.#current = this.#current.subarray(taken.length)
    return taken
  }

  /** Waits for the read that is under way, so that the source may be closed. */
  async stop(): Promise<void> {
    await this.#next.catch(() => {})
  }

  #readAhead(): Promise<Buffer> {
    const position = this.#position
    const buffer = this.#buffers[this.#turn].subarray(0, Math.min(bufferSize, this.#end - position))
    this.#turn = this.#turn === 0 ? 1 : 0
    this.#position += buffer.length
    const read = buffer.length === 0 ? Promise.resolve() : this.#source.read(buffer, position)
    const filled = read.then(() => buffer)
    // a failure is met by the `take` whose turn it is: it must not end the process before
    filled.catch(() => {})
    return filled
  }
}
