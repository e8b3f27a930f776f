import { overlayClient } from '../overlay/client.ts'
import { overlayStore } from '../overlay/overlay-store.ts'
import { type Counters, countEntry, newCounters } from '../serve/counters.ts'
import { bindEntrance, type Entrance } from '../serve/entrance.ts'
import { logEntry } from '../serve/log-sink.ts'
import { type Taking, takeConnections } from '../serve/taking.ts'
import type { SiteAddress } from '../site/address.ts'
import { openServerKey } from '../site/server-key.ts'
import { proveServer } from '../site/server-proof.ts'
import {
  graceMs,
  memoryShare,
  type Serving,
  type ServingOptions,
  type ServingState,
} from './serving-options.ts'
import { openKey } from './site-key.ts'
import { siteMonitoring } from './site-monitoring.ts'
import { makeSiteServers } from './site-servers.ts'

/** Binds both ports, and starts the servers: in this process, or in several that it supervises. */
export async function startServing(options: ServingOptions): Promise<Serving> {
  const { listen: host, address } = options
  const entrance = await bindEntrance({
    registry: { host, port: address.registryPort },
    http: { host, port: address.httpPort },
  })
  try {
    const bound: SiteAddress = {
      ...address,
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
  { bundles, address, state, overlay, verdicts, verify, access, now, log, tls }: ServingOptions,
): Promise<Serving> {
  const takings = new Map<string, Taking>()
  const counters: Record<string, Counters> = {}
  let folders: string[] = []
  const folder = state.paths.overlay
  const client = overlayClient(overlay, { folder })
  const close = async () => {
    entrance.close()
    await Promise.all([...takings.values()].map(taking => taking.close({ graceMs })))
    await client.close()
  }
  entrance.open((server, connection) => {
    const taking = takings.get(server)
    taking?.take(connection)
    return taking !== undefined
  })
  const serverKey = await openServerKey(state.folder)
  const since = now().toISOString()
  const servingState = (): ServingState => ({ processes: [], restarts: 0, lastEnd: null, servers: counters })
  const self = (): ServingState['processes'][number] => {
    const perServer = (count: (taking: Taking) => number) =>
      Object.fromEntries([...takings].map(([server, taking]) => [server, count(taking)]))
    return {
      process: process.pid,
      since,
      serves: [...takings.keys()],
      open: perServer(taking => taking.open()),
      answering: perServer(taking => taking.answering()),
    }
  }
  try {
    await makeSiteServers(
      bundles.map(({ store }) => store),
      {
        address,
        site: state.id,
        now,
        signer: () => openKey(state, now),
        monitoring: siteMonitoring({
          bundles,
          state,
          verdicts,
          now,
          serving: () => ({ ...servingState(), processes: [self()] }),
        }),
        prove: async claim => proveServer(serverKey, { site: state.id, ...claim }),
        logOf(server) {
          const own = newCounters()
          counters[server] = own
          return entry => {
            countEntry(own, entry)
            logEntry(entry, log)
          }
        },
        memory: memoryShare(1),
        verdicts,
        verify,
        overlay: { served: client, store: overlayStore(folder) },
        ca: tls?.ca,
        access,
        async ready(name, made) {
          const { server, url, log } = made
          takings.set(name, await takeConnections(server, { tls: tls && { settings: tls, url, log } }))
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
    state: servingState,
    failed: new Promise(() => {}),
    close,
  }
}
