import { isErrorCode } from '../core/errors.ts'
import type { Progress } from '../core/progress.ts'
import type { Clock } from './clock.ts'

/** How often and after which pauses a NETWORK error is retried. Every other code is final for that source. */
export interface RetryPolicy {
  /** number of tries, including the first */
  attempts: number
  /** first pause, doubled each time, with jitter */
  baseMs: number
  maxMs: number
}

export const defaultRetry: RetryPolicy = { attempts: 6, baseMs: 500, maxMs: 20_000 }

/** Returns the pause before try `attempt` + 1: exponential, with jitter between half and all of it, so that clients do not retry in step. */
export function backoffMs(attempt: number, policy: RetryPolicy, clock: Clock): number {
  const full = Math.min(policy.maxMs, policy.baseMs * 2 ** (attempt - 1))
  return Math.round(full * (0.5 + clock.random() / 2))
}

export interface RetryContext {
  retry: RetryPolicy
  clock: Clock
  progress: Progress
  signal?: AbortSignal | undefined
}

/** Runs `attempt` until it succeeds, throws an error other than NETWORK, or no try is left. */
export async function withRetries<T>(attempt: () => Promise<T>, context: RetryContext): Promise<T> {
  for (let tries = 1; ; tries++) {
    context.signal?.throwIfAborted()
    try {
      return await attempt()
    } catch (error) {
      if (!isErrorCode(error, 'NETWORK') || tries >= context.retry.attempts) throw error
      context.progress.note(
        `${error.item ?? 'upstream'}: ${error.message}; try ${tries + 1} of ${context.retry.attempts}`,
      )
      await context.clock.sleep(backoffMs(tries, context.retry, context.clock), context.signal)
    }
  }
}
