import { AirgapError } from '../core/errors.ts'

/** A body with fewer than `bytes` in `windowMs` has stalled. The total time is not limited. */
export interface StallLimits {
  windowMs: number
  bytes: number
}

export const defaultStall: StallLimits = { windowMs: 30_000, bytes: 1024 }

/**
 * Watches one body: the reader calls `count` for each chunk, and the body is destroyed with NETWORK when it stalls (a source that
 * sends a byte now and then would block a build for ever). Time in which the reader is busy (`busy(true)`) does not count: a slow
 * disk is not a slow source.
 */
export interface StallWatch {
  count(bytes: number): void
  busy(is: boolean): void
  stop(): void
}

export function watchStall(
  body: { destroy(error: Error): unknown },
  options: StallLimits & { item: string },
): StallWatch {
  let received = 0
  let busyMs = 0
  let busySince: number | undefined
  const settle = (now: number) => {
    if (busySince === undefined) return
    busyMs += now - busySince
    busySince = now
  }
  const timer = setInterval(() => {
    settle(performance.now())
    if (received < options.bytes && busyMs < options.windowMs / 2) {
      body.destroy(
        new AirgapError(
          'NETWORK',
          `the transfer stalled: fewer than ${options.bytes} bytes in ${options.windowMs / 1000} s`,
          {
            item: options.item,
            likely: 'the source or the connection is overloaded',
            next: 'run the same command again: it continues where it stopped; or remap the source to a nearer mirror',
          },
        ),
      )
    }
    received = 0
    busyMs = 0
  }, options.windowMs)
  return {
    count(bytes) {
      received += bytes
    },
    busy(is) {
      settle(performance.now())
      busySince = is ? performance.now() : undefined
    },
    stop: () => clearInterval(timer),
  }
}
