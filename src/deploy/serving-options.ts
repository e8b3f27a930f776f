import type { Descriptor } from '../core/descriptor.ts'
import type { OverlayOwner } from '../overlay/owner.ts'
import type { Counters } from '../serve/counters.ts'
import type { Entrance } from '../serve/entrance.ts'
import type { Generation } from '../serve/generations.ts'
import type { LocalVerdicts } from '../serve/local-verdicts.ts'

import type { LogSink } from '../serve/log-sink.ts'
import type { Monitoring } from '../serve/monitoring.ts'
import type { VerifyMode } from '../serve/served.ts'
import type { ProcessState } from '../serve/supervisor.ts'
import type { TlsSettings } from '../serve/tls-connections.ts'
import type { Verdicts } from '../serve/verdicts.ts'
import type { SiteAddress } from '../site/address.ts'
import type { AboutBundle } from '../site/start-page/about.ts'
import type { SiteState } from '../site/state.ts'
import type { OpenBundle } from './open-bundles.ts'
import type { openSiteAccess } from './site-access.ts'

/** The running servers of a site. */
export interface Serving {
  /** with the actual ports */
  address(): SiteAddress
  /** top folders of the HTTP server */
  folders(): string[]
  state(): ServingState
  /**
   * Replaces the servers by ones with this setup, without cutting off any answer (serve/generations.ts). Throws what keeps the new ones from
   * serving, and BUSY; then the present ones continue, and `setup.released` is not called.
   */
  reload(setup: ServedSetup): Promise<void>
  /** Rejects where the servers cannot continue. */
  failed: Promise<never>
  /** Uses another certificate for connections from now on. */
  renewTls(tls: ServingTls): void
  close(): Promise<void>
}

/** What the servers do now, as data (serving-record.ts). */
export interface ServingState {
  /** the processes that answer requests; none where this one does */
  processes: ProcessState[]
  /** processes from before a reload, which finish their answers */
  draining: ProcessState[]
  /** number of processes that ended unexpectedly and were started again */
  restarts: number
  /** the last of them */
  lastEnd: { process: number; at: string; reason: string } | null
  /** server → what all processes have done, those that have ended included */
  servers: Record<string, Counters>
}

/** What a reload can change. */
export interface ServedSetup {
  bundles: readonly Pick<OpenBundle, 'path' | 'store' | 'source' | 'identity' | 'trust'>[]
  /** at which clients reach the servers; a reload keeps the ports, and the first ones may be 0: any free ones */
  address: SiteAddress
  verify: VerifyMode
  /** undefined: plain HTTP */
  tls: ServingTls | undefined
  /** called once no server uses these bundles any more */
  released(): Promise<void>
}

export interface ServingOptions extends ServedSetup {
  /** IP address to listen on */
  listen: string
  state: SiteState
  /** what was pushed to the registry */
  overlay: OverlayOwner
  verdicts: SiteVerdicts
  access: Awaited<ReturnType<typeof openSiteAccess>>
  now: () => Date
  log: LogSink
  /** how many processes answer requests; 1: this one alone */
  processes: number
  /** descriptors of listening sockets; none: the ports are bound */
  sockets?: readonly number[]
  /** how long answers may go on once the servers are stopped; default: 5 s */
  stopGraceMs?: number
  /** program and arguments that start a serving process */
  self: readonly string[]
}

/** Name of the notice with which the supervisor sends another certificate. */
export const tlsNotice = 'tls'

/** Certificate and keys of the servers, and the CA that machines have to trust (PEM), where they do not already. */
export interface ServingTls extends TlsSettings {
  ca?: string
}

/** What one generation of servers is made of. */
export interface GenerationOptions extends Omit<ServingOptions, 'listen' | 'released'> {
  entrance: Pick<Entrance, 'retry'>
  /** of all generations */
  monitoring: Monitoring
  /** called for each process that ended unexpectedly */
  ended(end: NonNullable<ServingState['lastEnd']>): void
}

/** One generation of a site's servers. */
export interface SiteGeneration extends Generation {
  readonly address: SiteAddress
  /** top folders of the HTTP server, once it is ready */
  folders(): string[]
  /** Uses another certificate for connections from now on. */
  renewTls(tls: ServingTls): void
}

/** Verdicts that several processes share. */
export interface SiteVerdicts extends Verdicts {
  /** Calls the listener with content that is found to be damaged, until the returned function is called. */
  onDamage(listener: (content: Descriptor, state: string) => void): () => void
  /** What is known of the bundles, in order. */
  content(): Promise<ServedContent[]>
}

/** How much of a bundle's content is known to be right, and how much is damaged, in the present state of its file. */
export interface ServedContent extends Record<Found, Amount> {
  name: string
  version: string
}

type Found = ReturnType<LocalVerdicts['finding']>

interface Amount {
  blobs: number
  bytes: number
}

/** How long answers may go on once the servers are stopped, unless they are started otherwise. */
export const defaultStopGraceMs = 5_000
/** of both servers of all processes together */
const cacheBytes = 64 << 20 /* bytes */

/** of pieces that are being sent, likewise */
const bufferBytes = 64 << 20 /* bytes */

/** Returns the memory of one server in one process: room for the largest manifest at least. */
export function memoryShare(processes: number): { cacheBytes: number; bufferBytes: number } {
  const share = (bytes: number) => Math.max(8 << 20, Math.floor(bytes / 2 / processes))
  return { cacheBytes: share(cacheBytes), bufferBytes: share(bufferBytes) }
}

/** What a process asks its supervisor for monitoring systems. */
export const monitoringQuestions = { readiness: 'readiness', metrics: 'metrics' } as const

/** Returns how many processes from before a reload may still finish their answers when another reload begins. */
export function maxDraining(processes: number): number {
  return Math.max(8, 2 * processes)
}

/** What the supervisor sends to its processes. */
export interface ProcessSetup {
  bundles: { path: string; indexDigest: string }[]
  /** folder of what was pushed to the registry */
  overlay: string
  address: SiteAddress
  site: string
  /** what the start page says about the bundles */
  about: AboutBundle[]
  /** ISO 8601: when the site's documents are generated, the same in all processes */
  now: string
  logsAll: boolean
  verify: VerifyMode
  processes: number
  /** undefined: plain HTTP */
  tls?: ServingTls
}
