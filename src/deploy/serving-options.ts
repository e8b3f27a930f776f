import type { Counters } from '../serve/counters.ts'
import type { LogSink } from '../serve/log-sink.ts'
import type { ProcessState } from '../serve/supervisor.ts'
import type { SiteAddress } from '../site/address.ts'
import type { SiteState } from '../site/state.ts'
import type { OpenBundle } from './open-bundles.ts'

/** The running servers of a site. */
export interface Serving {
  address: SiteAddress
  /** top folders of the HTTP server */
  folders: string[]
  /** the processes that answer requests; none where this one does */
  processes(): ProcessState[]
  counters(): Record<string, Counters>
  /** Rejects where the servers cannot continue. */
  failed: Promise<never>
  close(): Promise<void>
}

export interface ServingOptions {
  bundles: readonly Pick<OpenBundle, 'path' | 'store' | 'source' | 'identity'>[]
  /** ports may be 0: any free one */
  address: SiteAddress
  /** IP address to listen on */
  listen: string
  state: SiteState
  now: () => Date
  log: LogSink
  /** how many processes answer requests; 1: this one alone */
  processes: number
  /** program and arguments that start a serving process */
  self: readonly string[]
}

/** within the time that a stopped program has (shell/run.ts) */
export const graceMs = 5_000
/** of both servers of all processes together */
const cacheBytes = 64 << 20 /* bytes */

/** Returns the memory for small content of one server in one process: room for the largest manifest at least. */
export function cacheShare(processes: number): number {
  return Math.max(8 << 20, Math.floor(cacheBytes / 2 / processes))
}

/** What the supervisor sends to its processes. */
export interface ProcessSetup {
  bundles: { path: string; indexDigest: string }[]
  address: SiteAddress
  site: string
  /** ISO 8601: when the site's documents are generated, the same in all processes */
  now: string
  logsAll: boolean
  processes: number
}
