import { availableParallelism, totalmem } from 'node:os'
import type { Digest } from '../core/digest.ts'
import { acquireProcessLock } from '../core/process-lock.ts'
import { type OpenOverlay, openOverlay } from '../overlay/overlay.ts'
import { overlayStore } from '../overlay/overlay-store.ts'
import type { LogSink } from '../serve/log-sink.ts'
import { httpServerOf, registryOf } from '../site/address.ts'
import { openState } from '../site/state.ts'
import { openBundles } from './open-bundles.ts'
import { startServing } from './serving.ts'
import { keepServingRecord } from './serving-record.ts'
import { setUp } from './set-up.ts'
import { openSiteAccess, usersFault } from './site-access.ts'
import type { SiteOptions } from './site-options.ts'
import { openTls } from './site-tls.ts'
import { openSiteVerdicts } from './site-verdicts.ts'

/** What is served, and where. */
export interface ServedSite {
  /** `host:port` */
  registry: string
  /** URL */
  httpServer: string
  listen: string
  bundles: { path: string; digest: Digest }[]
  /** top folders of the HTTP server: `/files`, `/debs`, … */
  folders: string[]
  /** process id */
  process: number
}

export interface ServeRun {
  signal: AbortSignal
  now: () => Date
  log: LogSink
  /** program and arguments that start this program again */
  self: readonly string[]
  /** called once the servers answer */
  serving: (site: ServedSite) => void
}

/** Serves the bundles of a site until the signal is aborted. */
export async function serveSite(
  { processes = defaultProcesses(), ...options }: SiteOptions & { processes?: number },
  run: ServeRun,
): Promise<void> {
  const setup = await setUp(options)
  const { config, siteFolder, address } = setup
  await using opened = await openBundles(config.bundles, { ...setup, unknown: 'opened', now: run.now() })
  const { bundles } = opened
  const state = await openState(siteFolder)
  const lock = await acquireProcessLock(state.paths.serveLock, `${siteFolder}: the servers of this site`)
  const { paths } = state
  const tls = await openTls(config, { folder: paths.tls, now: run.now })
  const verdicts = await openSiteVerdicts(bundles, {
    paths,
    now: run.now,
    overlay: overlayStore(paths.overlay),
  })
  let overlay: OpenOverlay | undefined
  const access = await openSiteAccess(state, {
    requireLogin: config.requireLogin,
    self: run.self,
    failed: error => run.log.line(JSON.stringify({ at: run.now().toISOString(), ...usersFault(error) })),
  })
  try {
    overlay = await openOverlay(paths.overlay, {
      added: verdicts.notePushed,
      damaged: manifest => run.log.line(JSON.stringify({ at: run.now().toISOString(), damaged: manifest })),
    })
    const serving = await startServing({
      bundles,
      overlay,
      verdicts,
      verify: config.verify,
      access,
      address,
      listen: config.listen,
      state,
      now: run.now,
      log: run.log,
      processes,
      tls,
      self: run.self,
    })
    run.serving({
      registry: registryOf(serving.address),
      httpServer: httpServerOf(serving.address),
      listen: config.listen,
      bundles: bundles.map(({ path, identity }) => ({ path, digest: identity.digest })),
      folders: serving.folders,
      process: process.pid,
    })
    const record = await keepServingRecord(serving, { path: state.paths.serving, now: run.now })
    try {
      await Promise.race([aborted(run.signal), serving.failed])
    } finally {
      await serving.close()
      await record.close()
    }
  } finally {
    await access.close()
    await overlay?.close()
    await verdicts.close()
    await lock.release()
  }
}

/** more processes than this cost memory and gain little: each sends a gigabyte per second and more */
const maxProcesses = 16
/** of memory, for each process */
const memoryPerProcess = 512 << 20

/** One process per core, and no more than the memory allows; on one core, this process alone. */
function defaultProcesses(): number {
  const memory = process.constrainedMemory() || totalmem()
  const fitting = Math.floor(Math.min(memory, totalmem()) / memoryPerProcess)
  return Math.max(1, Math.min(availableParallelism(), maxProcesses, fitting))
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  // a signal listener keeps no process alive; the servers do
  await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}
