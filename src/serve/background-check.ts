import { setTimeout as sleep } from 'node:timers/promises'
import type { Descriptor } from '../core/descriptor.ts'
import type { LocalVerdicts } from './local-verdicts.ts'

/** Content that is checked although nobody requests it: one bundle, in one file. */
export interface CheckedContent {
  verdicts: Pick<LocalVerdicts, 'isRight' | 'verifyAgain'>
  /** in the order in which it is read best */
  blobs: readonly Descriptor[]
  state(): Promise<string>
  /** called each time when all blobs have been found to be right in this state, and each time when all have been read again */
  completed(what: 'all' | 'scrubbed', state: string): void
}

export interface BackgroundCheckOptions {
  signal: AbortSignal
  /** how often the states of the files are compared */
  intervalMs?: number
  /** from one reading of all content to the next; default: a day */
  scrubEveryMs?: number
  /** how fast content is read again, on average; default: 20 MiB/s */
  scrubRate?: number /* bytes per second */
}

/** When a missing medium, or damage, is tried again; each time twice as long, up to an hour. */
const firstRetryMs = 60_000
const maxRetryMs = 3_600_000
const maxPauseMs = 600_000

/**
 * Verifies all content that is not verified in the present state of its file, one blob after the other, and reads verified content again
 * from time to time, slowly: a medium decays without any change of its state. What is found is in the verdicts. Ends with the signal.
 */
export async function checkInBackground(
  contents: readonly CheckedContent[],
  options: BackgroundCheckOptions,
): Promise<void> {
  const { signal, intervalMs = 5_000, scrubEveryMs = 24 * 3_600_000 } = options
  try {
    await Promise.all(
      contents.map(async content => {
        let scrubAt = performance.now() + scrubEveryMs
        /** the last state in which everything was read */
        let read: string | undefined
        let retryMs = firstRetryMs
        let retryAt = Number.POSITIVE_INFINITY
        for (;;) {
          const state = await content.state().catch(() => undefined)
          if (state !== undefined && (state !== read || performance.now() >= retryAt)) {
            retryMs = state === read ? Math.min(2 * retryMs, maxRetryMs) : firstRetryMs
            const isComplete = await verifyAll(content, { state, signal })
            retryAt = isComplete ? Number.POSITIVE_INFINITY : performance.now() + retryMs
            read = state
          }
          if (performance.now() >= scrubAt) {
            await scrub(content, options)
            scrubAt = performance.now() + scrubEveryMs
          }
          await sleep(intervalMs, undefined, { signal, ref: false })
        }
      }),
    )
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** Returns whether all blobs are right in this state. */
async function verifyAll(
  { verdicts, ...content }: CheckedContent,
  { state, signal }: { state: string; signal: AbortSignal },
): Promise<boolean> {
  let isComplete = true
  for (const blob of content.blobs) {
    try {
      if (!verdicts.isRight(blob, state)) await verdicts.verifyAgain(blob, signal)
      if (!verdicts.isRight(blob, state)) isComplete = false
    } catch {
      // damage is noted, and an unplugged medium may be back later
      signal.throwIfAborted()
      isComplete = false
    }
  }
  if (isComplete) content.completed('all', state)
  return isComplete
}

async function scrub(
  { verdicts, ...content }: CheckedContent,
  { signal, scrubRate = 20 << 20 }: BackgroundCheckOptions,
): Promise<void> {
  for (const blob of content.blobs) {
    await verdicts.verifyAgain(blob, signal).catch(() => signal.throwIfAborted())
    const pauseMs = Math.min(maxPauseMs, (blob.size / scrubRate) * 1_000)
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal, ref: false })
  }
  content.completed('scrubbed', await content.state())
}
