import { setTimeout as delay } from 'node:timers/promises'
import { defined } from '../core/defined.ts'

/** Time and randomness, passed in so that a test of an hour's wait takes a millisecond. */
export interface Clock {
  /** milliseconds since 1970 */
  now(): number
  /** rejects with the signal's reason when it aborts */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** 0 ≤ x < 1 */
  random(): number
}

export const systemClock: Clock = {
  now: Date.now,
  random: Math.random,
  async sleep(ms, signal) {
    try {
      await delay(ms, undefined, defined({ signal }))
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  },
}
