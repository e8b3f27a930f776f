import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** A collection runs after this much of one body. */
const every = 4 << 20 /* bytes */

/**
 * Frees the short-lived buffers of a fast download in time. They are outside V8's heap, and V8 lets some 64 MB of dead ones
 * accumulate before it collects; a collection of the young generation (2 MB, see scripts/build.mjs) takes about a millisecond.
 */
export class ShortLived {
  #collect: ((options: { type: 'minor' }) => void) | undefined
  #since = 0

  count(bytes: number): void {
    this.#since += bytes
    if (this.#since < every) return
    this.#since = 0
    this.#collect ??= collector()
    this.#collect({ type: 'minor' })
  }
}

function collector(): (options: { type: 'minor' }) => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
}
