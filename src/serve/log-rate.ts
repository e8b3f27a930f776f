import type { AccessEntry } from './served.ts'

/** Logs failed requests so that a client cannot fill the disk with them: 10,000 malformed requests take 4 s, and were 1.7 MB of lines. */
export interface BoundedLog {
  log(entry: AccessEntry): void
  /** Logs what was counted and not logged yet. */
  flush(): void
}

const period = 60_000 /* milliseconds */
/** of requests that could not be parsed: nothing in them helps, and any port scanner sends them */
const refusedPerPeriod = 1
/** of each status: enough to see which content is damaged */
const failedPerPeriod = 20

interface Kind {
  logged: number
  /** the last one that was counted instead */
  last?: AccessEntry
  counted: number
  timer: NodeJS.Timeout
}

/**
 * Passes on the first entries of each kind in a minute, counts the others, and adds one line at the end of the minute: the last of them, with
 * how many there were (`count`).
 */
export function boundedLog(write: (entry: AccessEntry) => void): BoundedLog {
  const kinds = new Map<string, Kind>()

  function end(name: string): void {
    const kind = kinds.get(name)
    if (kind === undefined) return
    kinds.delete(name)
    clearTimeout(kind.timer)
    if (kind.last === undefined) return
    write({ ...kind.last, count: kind.counted })
    // the line at the end counts as one of the next minute
    begin(name).logged = 1
  }

  function begin(name: string): Kind {
    const timer = setTimeout(() => end(name), period)
    timer.unref()
    const kind = { logged: 0, counted: 0, timer }
    kinds.set(name, kind)
    return kind
  }

  return {
    log(entry) {
      const isRefused = entry.method === ''
      const name = isRefused ? 'refused' : String(entry.status)
      const kind = kinds.get(name) ?? begin(name)
      if (kind.logged < (isRefused ? refusedPerPeriod : failedPerPeriod)) {
        kind.logged++
        write(entry)
      } else {
        kind.counted++
        kind.last = entry
      }
    },
    flush() {
      for (const name of [...kinds.keys()]) end(name)
      for (const { timer } of kinds.values()) clearTimeout(timer)
      kinds.clear()
    },
  }
}
