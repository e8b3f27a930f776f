import { type Counters, countEntry, newCounters } from '../serve/counters.ts'
import { bindEntrance, type Entrance } from '../serve/entrance.ts'
import { type LogSink, logEntry } from '../serve/log-sink.ts'
import type { ProcessState } from '../serve/supervisor.ts'
import { type Taking, takeConnections } from '../serve/taking.ts'
import type { SiteAddress } from '../site/address.ts'
import { openServerKey } from '../site/server-key.ts'
import { proveServer } from '../site/server-proof.ts'
import type { SiteState } from '../site/state.ts'
import type { OpenBundle } from './open-bundles.ts'
import { openKey } from './site-key.ts'
import { makeSiteServers } from './site-servers.ts'

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
const graceMs = 5_000
/** of both servers of all processes together */
const cacheBytes = 64 << 20

/** Binds both ports, and starts the servers: in this process, or in several that it supervises. */
export async function startServing(options: ServingOptions): Promise<Serving> {
  const { listen: host, address } = options
  const entrance = await bindEntrance({
    registry: { host, port: address.registryPort },
    http: { host, port: address.httpPort },
  })
  try {
    const bound: SiteAddress = {
      host: address.host,
      registryPort: entrance.ports.get('registry') ?? 0,
      httpPort: entrance.ports.get('http') ?? 0,
    }
    const start =
      options.processes > 1 ? (await import('./serving-processes.ts')).serveInProcesses : serveHere
    return await start(entrance, { ...options, address: bound })
  } catch (error) {
    entrance.close()
    throw error
  }
}

/** Answers in this process. */
async function serveHere(
  entrance: Entrance,
  { bundles, address, state, now, log }: ServingOptions,
): Promise<Serving> {
  const takings = new Map<string, Taking>()
  const counters: Record<string, Counters> = {}
  let folders: string[] = []
  const close = async () => {
    entrance.close()
    await Promise.all([...takings.values()].map(taking => taking.close({ graceMs })))
  }
  entrance.open((server, connection) => {
    const taking = takings.get(server)
    taking?.take(connection)
    return taking !== undefined
  })
  const serverKey = await openServerKey(state.folder)
  try {
    await makeSiteServers(
      bundles.map(({ store }) => store),
      {
        address,
        site: state.id,
        now,
        signer: () => openKey(state, now),
        prove: async claim => proveServer(serverKey, { site: state.id, ...claim }),
        logOf(server) {
          const own = newCounters()
          counters[server] = own
          return entry => {
            countEntry(own, entry)
            logEntry(entry, log)
          }
        },
        cacheBytes: cacheBytes / 2,
        async ready(name, made) {
          takings.set(name, await takeConnections(made.server))
          folders = made.folders
          entrance.retry()
        },
      },
    )
  } catch (error) {
    await close()
    throw error
  }
  return {
    address,
    folders,
    processes: () => [],
    counters: () => counters,
    failed: new Promise(() => {}),
    close,
  }
}

/** The share of a process in the memory for small content, for each server: what a manifest may have, at least. */
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
