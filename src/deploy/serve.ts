import { X509Certificate } from 'node:crypto'
import { availableParallelism, totalmem } from 'node:os'
import { defined } from '../core/defined.ts'
import type { Digest } from '../core/digest.ts'
import { acquireProcessLock } from '../core/process-lock.ts'
import { openOverlay } from '../overlay/overlay.ts'
import { overlayStore } from '../overlay/overlay-store.ts'
import { listenForControl } from '../serve/control-socket.ts'
import { eventLine, type LogSink } from '../serve/log-sink.ts'
import { errorData } from '../serve/process-messages.ts'
import { httpServerOf, registryOf } from '../site/address.ts'
import type { SiteConfig } from '../site/config.ts'
import { openState } from '../site/state.ts'
import { keepCertificate, type RenewalOptions } from './certificate-renewal.ts'
import { holdBundles } from './held-bundles.ts'
import { imageRequests } from './images.ts'
import { openBundles } from './open-bundles.ts'
import { keepCollected } from './overlay-upkeep.ts'
import { acceptedDigests, followConfiguration, oneAtATime } from './reload.ts'
import { startServing } from './serving.ts'
import type { ServingTls } from './serving-options.ts'
import { keepServingRecord } from './serving-record.ts'
import { setUp } from './set-up.ts'
import { accessFault, openSiteAccess } from './site-access.ts'
import type { SiteOptions } from './site-options.ts'
import { openCertificate, openTls } from './site-tls.ts'
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
  /** SHA-256 of what machines have to trust, or of the servers' certificate where they trust its CA already; null: plain HTTP */
  certificate: { of: 'ca' | 'server'; fingerprint: string } | null
}

export interface ServeRun {
  signal: AbortSignal
  now: () => Date
  log: LogSink
  /** program and arguments that start this program again */
  self: readonly string[]
  /** how long answers may go on once the signal is aborted; default: 5 s */
  stopGraceMs?: number
  /** descriptors of listening sockets that the service manager has passed; none: the ports are bound */
  sockets?: readonly number[]
  /** called once the servers answer */
  serving: (site: ServedSite) => void
  /** called when the configuration is read again, and when the servers serve by it, or go on as before */
  reloading?: () => void
  reloaded?: (site: ServedSite) => void
  /** Sets what is called when the configuration is to be read again (SIGHUP). */
  onHangup: (listener: () => void) => void
}

/**
 * Serves the bundles of a site until the signal is aborted. A hangup, or a request at the socket in the state folder (reload-servers.ts), has
 * it read the configuration of the site again, and serve by that from then on.
 */
export async function serveSite(
  { processes = defaultProcesses(), ...options }: SiteOptions & { processes?: number },
  run: ServeRun,
): Promise<void> {
  const { now, log } = run
  let hungUp = false
  run.onHangup(() => {
    hungUp = true
  })
  const setup = await setUp(options)
  await using ends = new AsyncDisposableStack()
  const opened = await openBundles(setup.config.bundles, { ...setup, unknown: 'opened', now: now() })
  const unheld = ends.use(new AsyncDisposableStack())
  unheld.use(opened)
  const state = await openState(setup.siteFolder)
  ends.use(await acquireProcessLock(state.paths.serveLock, `${setup.siteFolder}: the servers of this site`))
  const { paths } = state
  const tlsPlace = { folder: paths.tls, now }
  let tls = await openTls(setup.config, tlsPlace)
  const verdicts = ends.adopt(openSiteVerdicts({ paths, now, overlay: overlayStore(paths.overlay) }), one =>
    one.close(),
  )
  const held = holdBundles(verdicts)
  // closed when they are released from now on
  unheld.move()
  let content = await held.hold(opened)
  ends.defer(() => content.release())
  const overlay = ends.adopt(
    await openOverlay(paths.overlay, {
      added: verdicts.notePushed,
      quota: setup.config.overlayQuota,
      damaged: manifest => log.line(eventLine(now(), { damaged: manifest })),
    }),
    one => one.close(),
  )
  const access = ends.adopt(
    await openSiteAccess(state, {
      requireLogin: setup.config.requireLogin,
      self: run.self,
      now,
      failed: error => log.line(eventLine(now(), accessFault(error))),
    }),
    one => one.close(),
  )
  const serving = await startServing({
    access,
    overlay,
    tls,
    bundles: content.bundles,
    released: content.release,
    verdicts,
    verify: setup.config.verify,
    address: setup.address,
    listen: setup.config.listen,
    state,
    now,
    log,
    processes,
    self: run.self,
    ...defined({ sockets: run.sockets, stopGraceMs: run.stopGraceMs }),
  })
  ends.defer(() => serving.close())
  const record = ends.adopt(await keepServingRecord(serving, { path: state.paths.serving, now }), one =>
    one.close(),
  )
  const keep = (config: SiteConfig) =>
    tls &&
    keepCertificate({
      current: tls,
      open: () => openCertificate(config, tlsPlace),
      renew: serving.renewTls,
      report: event => log.line(eventLine(now(), certificateEvent(event))),
    })
  let kept = keep(setup.config)
  ends.defer(() => kept?.close())
  const served = (): ServedSite => ({
    registry: registryOf(serving.address()),
    httpServer: httpServerOf(serving.address()),
    listen: setup.config.listen,
    bundles: content.bundles.map(({ path, identity }) => ({ path, digest: identity.digest })),
    folders: serving.folders(),
    process: process.pid,
    certificate: tls === undefined ? null : fingerprintOf(tls),
  })
  const optionsNow = await followConfiguration(options, setup)
  const reload = oneAtATime(async () => {
    run.reloading?.()
    try {
      const { config, address, siteFolder } = await setUp(await optionsNow())
      const nextTls = await openTls(config, tlsPlace)
      const expect = await acceptedDigests(siteFolder, content.bundles)
      const next = await held.hold(
        await openBundles(config.bundles, { siteFolder, expect, unknown: 'opened', now: now() }),
      )
      const { bundles, release: released } = next
      // what is new must not be readable by anybody for a moment, nor where the reload has to wait
      if (config.requireLogin) access.requireLogin(true)
      await serving
        .reload({ bundles, released, address, verify: config.verify, tls: nextTls })
        .catch(async error => {
          await released()
          throw error
        })
      content = next
      await kept?.close()
      tls = nextTls
      kept = keep(config)
      access.requireLogin(config.requireLogin)
      overlay.setQuota(config.overlayQuota)
      log.line(eventLine(now(), { reloaded: bundles.map(({ path }) => path) }))
      return served()
    } catch (error) {
      log.line(eventLine(now(), { reloadFailed: errorData(error) }))
      throw error
    } finally {
      run.reloaded?.(served())
      await record.write()
    }
  })
  // reported in the log
  run.onHangup(() => void reload().catch(() => {}))
  const configuration = async (): Promise<SiteConfig> => {
    const { registryPort, httpPort } = serving.address()
    return { ...setup.config, registryPort, httpPort, bundles: content.bundles.map(({ path }) => path) }
  }
  const control = await listenForControl(state.paths.control, {
    reload,
    configuration,
    verdicts: verdicts.refresh,
    images: imageRequests(overlay, () => content.bundles.flatMap(({ store }) => store.blobs())),
  }).catch((error: unknown) => {
    // a file system without sockets: a hangup works all the same
    log.line(eventLine(now(), { noControlSocket: errorData(error) }))
    return undefined
  })
  ends.defer(() => control?.close())
  run.serving(served())
  ends.adopt(keepCollected(overlay, { now, log }), one => one.close())
  if (hungUp) reload().catch(() => {})
  await Promise.race([aborted(run.signal), serving.failed])
}

function fingerprintOf({ ca, certificate }: ServingTls): ServedSite['certificate'] {
  const { fingerprint256: fingerprint } = new X509Certificate(ca ?? certificate)
  return { of: ca === undefined ? 'server' : 'ca', fingerprint }
}

/** For the log: the reason, or the end of the new certificate's validity. */
function certificateEvent(event: Parameters<RenewalOptions['report']>[0]): object {
  if ('failed' in event) return { certificate: 'not renewed', reason: event.failed }
  return { certificate: 'renewed', until: new X509Certificate(event.renewed).validToDate.toISOString() }
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
