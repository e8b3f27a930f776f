import { setImmediate } from 'node:timers/promises'
import type { ByteSource } from './byte-source.ts'

const bufferSize =
  256 << 10 /* bytes, a multiple of the tar block; small enough to stay in a core's own cache */

/** After so much the event loop has its turn: signals, progress. */
const turnEvery = 16 << 20 /* bytes */

/**
 * Reads from `start` to `end` once, in order. Where the source can be read at once, that is quicker than one buffer ahead: the
 * kernel reads ahead of a sequential reader by itself.
 */
export class SequentialReader {
  readonly #source: ByteSource
  readonly #end: number
  readonly #buffer: Buffer
  #current: Buffer = Buffer.alloc(0)
  #position: number
  #sinceTurn = 0

  constructor(source: ByteSource, range: { start: number; end: number }) {
    this.#source = source
    this.#position = range.start
    this.#end = range.end
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(bufferSize, range.end - range.start))
  }

  /** Between 1 and `max` bytes; the view is valid until the next call. Aligned blocks never come in two parts. */
  async take(max: number): Promise<Buffer> {
    if (this.#current.length === 0) await this.#fill()
    const taken = this.#current.subarray(0, max)
    this.#current = this.#current.subarray(taken.length)
    return taken
  }

  async #fill(): Promise<void> {
    const buffer = this.#buffer.subarray(0, Math.min(bufferSize, this.#end - this.#position))
    if (this.#source.readSync === undefined) await this.#source.read(buffer, this.#position)
    else {
      this.#source.readSync(buffer, this.#position)
      this.#sinceTurn += buffer.length
      if (this.#sinceTurn >= turnEvery) {
        this.#sinceTurn = 0
        await setImmediate()
      }
    }
    this.#position += buffer.length
    this.#current = buffer
  }
}
