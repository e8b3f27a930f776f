import { AirgapError } from '../core/errors.ts'
import type { Progress } from '../core/progress.ts'
import type { Clock } from './clock.ts'

/** Nobody waits longer at a terminal: it is better to stop and say when to try again. */
const longestWaitMs = 15 * 60_000

/** Until when hosts must not be sent requests (RFC 9110 section 10.2.3, Retry-After). */
export class HostPauses {
  readonly #until = new Map<string, number>()
  readonly #clock: Clock
  readonly #progress: Progress

  constructor(clock: Clock, progress: Progress) {
    this.#clock = clock
    this.#progress = progress
  }

  /** Records the wait that a 429 or 503 requests. Throws UPSTREAM if it is too long. */
  record(host: string, wait: { ms: number; status: number }): void {
    if (wait.ms > longestWaitMs) {
      throw new AirgapError(
        'UPSTREAM',
        `the host answered ${wait.status} and requests a wait of ${seconds(wait.ms)}`,
        {
          item: host,
          likely:
            'a rate limit: anonymous pulls are limited per address and hour at several public registries',
          next: 'log in (docker login), remap the source to a mirror or cache, or run the same command again later',
        },
      )
    }
    const until = this.#clock.now() + wait.ms
    if (until <= (this.#until.get(host) ?? 0)) return
    this.#until.set(host, until)
    if (wait.ms > 0)
      this.#progress.note(`${host} answered ${wait.status}; waiting ${seconds(wait.ms)} as it requests`)
  }

  /** Resolves once the host may be sent a request. */
  async ready(host: string, signal?: AbortSignal): Promise<void> {
    for (;;) {
      const left = (this.#until.get(host) ?? 0) - this.#clock.now()
      if (left <= 0) return
      await this.#clock.sleep(left, signal)
    }
  }
}

/** Parses Retry-After (seconds or an HTTP date) to milliseconds from `now`; undefined if it is absent or invalid. */
export function retryAfterMs(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  const text = value.trim()
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  if (!/^[A-Za-z]{3},? /.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

function seconds(ms: number): string {
  return ms < 120_000 ? `${Math.ceil(ms / 1000)} s` : `${Math.ceil(ms / 60_000)} min`
}
