import type { AccessEntry } from './served.ts'

/** What a server has done since it was started: plain data, so that it can be sent to another process and added up. */
export interface Counters {
  requests: number
  /** bytes of bodies */
  bytes: number
  /** answers that are incomplete: the client disconnected, or the content is damaged */
  aborted: number
  /** requests by status class: `2xx`, `4xx`; `none` where no head of an answer was sent */
  statuses: Record<string, number>
  /** how long answers took, from the request's head to the end */
  durations: Durations
}

export interface Durations {
  /** of all answers together */
  milliseconds: number
  /** number of answers that took at most as long as each of `durationBounds`, and longer than the one before; last: the others */
  counts: number[]
}

/** From what memory answers to a large layer over a slow connection. */
export const durationBounds: readonly number[] /* seconds */ = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 60]

export function newCounters(): Counters {
  return {
    requests: 0,
    bytes: 0,
    aborted: 0,
    statuses: {},
    durations: { milliseconds: 0, counts: new Array(durationBounds.length + 1).fill(0) },
  }
}

export function countEntry(counters: Counters, { status, bytes, aborted, milliseconds }: AccessEntry): void {
  const name = status === 0 ? 'none' : `${Math.floor(status / 100)}xx`
  counters.requests++
  counters.bytes += bytes
  if (aborted) counters.aborted++
  counters.statuses[name] = (counters.statuses[name] ?? 0) + 1
  const { durations } = counters
  const bound = durationBounds.findIndex(seconds => milliseconds <= seconds * 1_000)
  const position = bound === -1 ? durationBounds.length : bound
  durations.milliseconds += milliseconds
  durations.counts[position] = (durations.counts[position] ?? 0) + 1
}

/** Adds `more` to the counters. */
export function addCounters(counters: Counters, more: Counters): void {
  counters.requests += more.requests
  counters.bytes += more.bytes
  counters.aborted += more.aborted
  for (const [name, count] of Object.entries(more.statuses))
    counters.statuses[name] = (counters.statuses[name] ?? 0) + count
  counters.durations.milliseconds += more.durations.milliseconds
  for (const [i, count] of more.durations.counts.entries())
    counters.durations.counts[i] = (counters.durations.counts[i] ?? 0) + count
}
