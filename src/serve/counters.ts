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
}

export function newCounters(): Counters {
  return { requests: 0, bytes: 0, aborted: 0, statuses: {} }
}

export function countEntry(counters: Counters, { status, bytes, aborted }: AccessEntry): void {
  const name = status === 0 ? 'none' : `${Math.floor(status / 100)}xx`
  counters.requests++
  counters.bytes += bytes
  if (aborted) counters.aborted++
  counters.statuses[name] = (counters.statuses[name] ?? 0) + 1
}

/** Adds `more` to the counters. */
export function addCounters(counters: Counters, more: Counters): void {
  counters.requests += more.requests
  counters.bytes += more.bytes
  counters.aborted += more.aborted
  for (const [name, count] of Object.entries(more.statuses))
    counters.statuses[name] = (counters.statuses[name] ?? 0) + count
}
