import { overlayClient } from '../overlay/client.ts'
import { overlayStore } from '../overlay/overlay-store.ts'
import { type Counters, countEntry, newCounters } from '../serve/counters.ts'
import { bindEntrance } from '../serve/entrance.ts'
import { generationsFrom } from '../serve/generations.ts'
import { logEntry } from '../serve/log-sink.ts'
import type { ProcessState } from '../serve/supervisor.ts'
import { drainAll, type Taking, takeConnections } from '../serve/taking.ts'
import type { SiteAddress } from '../site/address.ts'
import { openServerKey } from '../site/server-key.ts'
import { proveServer } from '../site/server-proof.ts'
import { aboutBundle } from './about-bundle.ts'
import {
  defaultStopGraceMs,
  type GenerationOptions,
  maxDraining,
  memoryShare,
  type ServedSetup,
  type Serving,
  type ServingOptions,
  type ServingState,
  type SiteGeneration,
} from './serving-options.ts'
import { openKey } from './site-key.ts'
import { siteMonitoring } from './site-monitoring.ts'
import { makeSiteServers } from './site-servers.ts'

/** Binds both ports, and starts the servers: in this process, or in several that it supervises. */
export async function startServing({
  listen: host,
  sockets = [],
  stopGraceMs = defaultStopGraceMs,
  ...options
}: ServingOptions): Promise<Serving> {
  const entrance = await bindEntrance(
    {
      registry: { host, port: options.address.registryPort },
      http: { host, port: options.address.httpPort },
    },
    { sockets },
  )
  let lastEnd: ServingState['lastEnd'] = null
  const bound = (address: SiteAddress): SiteAddress => ({
    ...address,
    registryPort: entrance.ports.get('registry') ?? 0,
    httpPort: entrance.ports.get('http') ?? 0,
  })
  let served: Pick<ServedSetup, 'bundles' | 'tls'> = options
  const monitoring = siteMonitoring({ ...options, served: () => served, serving: () => allState() })
  const make = async (setup: ServedSetup): Promise<SiteGeneration> => {
    const start =
      options.processes > 1 ? (await import('./serving-processes.ts')).serveInProcesses : serveHere
    return await start({
      ...options,
      ...setup,
      entrance,
      monitoring,
      address: bound(setup.address),
      ended(end) {
        lastEnd = end
      },
    })
  }
  let allState: () => ServingState = () => ({
    processes: [],
    draining: [],
    restarts: 0,
    lastEnd,
    servers: {},
  })
  try {
    let current = await make(options)
    const generations = generationsFrom(entrance, {
      first: current,
      released: options.released,
      maxDraining: maxDraining(options.processes),
    })
    allState = () => ({
      processes: generations.processes(),
      draining: generations.draining(),
      restarts: generations.restarts(),
      lastEnd,
      servers: generations.counters(),
    })
    await generations.ready
    return {
      address: () => current.address,
      folders: () => current.folders(),
      async reload(setup) {
        let made: SiteGeneration | undefined
        const next = async () => {
          made = await make(setup)
          return made
        }
        await generations.replace(next, { released: setup.released })
        if (made !== undefined) current = made
        served = setup
      },
      state() {
        const state = allState()
        const others = (one: ProcessState) => one.process !== process.pid
        return {
          ...state,
          processes: state.processes.filter(others),
          draining: state.draining.filter(others),
        }
      },
      failed: generations.failed,
      renewTls: tls => current.renewTls(tls),
      async close() {
        entrance.close()
        await generations.stop({ graceMs: stopGraceMs })
      },
    }
  } catch (error) {
    entrance.close()
    throw error
  }
}

/** Answers in this process. */
async function serveHere({
  entrance,
  bundles,
  address,
  state,
  verdicts,
  verify,
  access,
  overlay,
  tls,
  now,
  log,
  monitoring,
}: GenerationOptions): Promise<SiteGeneration> {
  const takings = new Map<string, Taking>()
  const counters: Record<string, Counters> = {}
  let folders: string[] = []
  const folder = state.paths.overlay
  const client = overlayClient(overlay, { folder })
  const since = now().toISOString()
  const perServer = (count: (taking: Taking) => number) =>
    Object.fromEntries([...takings].map(([server, taking]) => [server, count(taking)]))
  const serverKey = await openServerKey(state.folder)
  const ready = makeSiteServers(
    bundles.map(({ store }) => store),
    {
      address,
      site: state.id,
      about: bundles.map(aboutBundle),
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
      memory: memoryShare(1),
      verdicts,
      verify,
      monitoring,
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
  // it may fail before anybody waits for it
  ready.catch(() => {})
  return {
    take(server, connection) {
      const taking = takings.get(server)
      taking?.take(connection)
      return taking !== undefined
    },
    address,
    ready,
    failed: new Promise(() => {}),
    folders: () => folders,
    renewTls(renewed) {
      for (const taking of takings.values()) taking.renewTls(renewed)
    },
    processes: () => [
      {
        process: process.pid,
        since,
        serves: [...takings.keys()],
        open: perServer(taking => taking.open()),
        answering: perServer(taking => taking.answering()),
      },
    ],
    counters: () => counters,
    restarts: () => 0,
    drain() {
      const { idleClosed, ended } = drainAll([...takings.values()].map(taking => taking.drain()))
      return { idleClosed, ended: ended.then(() => client.close()) }
    },
    async stop({ graceMs }) {
      await Promise.all([...takings.values()].map(taking => taking.close({ graceMs })))
      await client.close()
    },
  }
}
