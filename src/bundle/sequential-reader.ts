import { setImmediate } from 'node:timers/promises'
import type { ByteSource } from './byte-source.ts'

const bufferSize =
  256 << 10 /* bytes, a multiple of the tar block; small enough to stay in a core's own cache */

/** After this much the event loop gets a turn, for signals and progress. */
const turnEvery = 16 << 20 /* bytes */

/**
 * Reads from `start` to `end` once, in order. Synchronous reads, if the source supports them, are faster than reading one buffer ahead:
 * the kernel itself reads ahead for a sequential reader.
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

  /** Returns 1 to `max` bytes, valid until the next call. Aligned blocks are never split. */
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
