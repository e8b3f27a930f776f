import type { Digest } from '../core/digest.ts'
import { acquireProcessLock } from '../core/process-lock.ts'
import type { AccessEntry } from '../serve/served.ts'
import { httpServerOf, registryOf } from '../site/address.ts'
import { openState } from '../site/state.ts'
import { openBundles } from './open-bundles.ts'
import { startServing } from './serving.ts'
import { setUp } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

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

/** Serves the bundles of a site until the signal is aborted; `serving` is called once the servers listen. */
export async function serveSite(
  options: SiteOptions,
  run: {
    signal: AbortSignal
    now: () => Date
    log: (entry: AccessEntry) => void
    serving: (site: ServedSite) => void
  },
): Promise<void> {
  const setup = await setUp(options)
  const { config, siteFolder, address } = setup
  await using opened = await openBundles(config.bundles, { ...setup, unknown: 'opened', now: run.now() })
  const { bundles } = opened
  const state = await openState(siteFolder)
  const lock = await acquireProcessLock(state.paths.serveLock, `${siteFolder}: the servers of this site`)
  try {
    const serving = await startServing({
      contents: bundles.map(({ store }) => store),
      address,
      listen: config.listen,
      state,
      now: run.now,
      log: run.log,
    })
    run.serving({
      registry: registryOf(serving.address),
      httpServer: httpServerOf(serving.address),
      listen: config.listen,
      bundles: bundles.map(({ path, identity }) => ({ path, digest: identity.digest })),
      folders: serving.folders,
      process: process.pid,
    })
    await aborted(run.signal)
    await serving.close()
  } finally {
    await lock.release()
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  // a signal listener keeps no process alive; the servers do
  await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}
