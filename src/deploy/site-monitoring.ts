import { randomInt, X509Certificate } from 'node:crypto'
import { statfs } from 'node:fs/promises'
import { expose, type MetricsFormat, metricsTypes } from '../metrics/exposition.ts'
import { processUsage } from '../metrics/process-usage.ts'
import { overlaySummary } from '../overlay/summary.ts'
import { isReady, type Monitoring, type Readiness, type ReadinessCheck } from '../serve/monitoring.ts'
import type { ServingOptions, ServingState } from './serving-options.ts'
import { siteMetrics } from './site-metrics.ts'

export type MonitoringOptions = Pick<ServingOptions, 'state' | 'verdicts' | 'now'> & {
  served: () => Pick<ServingOptions, 'bundles' | 'tls'>
  /** with this process among the others where it answers requests itself */
  serving: () => ServingState
}

/** An answer is given again for so long: clients that request it all the time cost nothing. */
const keptMs = 1_000
/** With less, records of verdicts and logs are lost, and nothing can be pushed. */
const leastDisk = 64 << 20 /* bytes */

/** Checks the servers of a site and describes them, in the process that supervises them. */
export function siteMonitoring(options: MonitoringOptions): Monitoring {
  const since = options.now()
  const readiness = kept(async () => await readinessOf(options))
  // reads the indexes of all repositories
  const pushedBytes = kept(async () => (await overlaySummary(options.state.paths.overlay)).bytes, 15_000)
  const metrics = kept(async () => {
    const { verdicts, state } = options
    const serving = options.serving()
    const [content, usage, disk, pushed, ready] = await Promise.all([
      verdicts.content(),
      processUsage(
        [...serving.processes, ...serving.draining]
          .map(one => one.process)
          .filter(pid => pid !== process.pid),
      ),
      diskOf(state.folder).catch(() => undefined),
      pushedBytes(),
      readiness(),
    ])
    return siteMetrics({
      serving,
      content,
      usage,
      disk,
      pushed,
      certificate: expiryOf(options.served().tls),
      ready: isReady(ready),
      since,
    })
  })
  return { readiness, metrics: async mediaType => expose(await metrics(), formatOf(mediaType)) }
}

function formatOf(mediaType: string): MetricsFormat {
  return mediaType === metricsTypes.openmetrics ? 'openmetrics' : 'prometheus'
}

async function readinessOf(options: MonitoringOptions): Promise<Readiness> {
  const { state } = options
  const { bundles } = options.served()
  return {
    checks: await Promise.all([
      ...bundles.map(({ source, identity: { name, version } }) =>
        check(`bundle ${name} ${version}`, () => readSomewhere(source)),
      ),
      check('servers', async () => requireServers(options)),
      check('disk', async () => requireDisk(await diskOf(state.folder))),
    ]),
  }
}

async function check(name: string, run: () => Promise<void>): Promise<ReadinessCheck> {
  try {
    await run()
    return { name }
  } catch (error) {
    return { name, failure: error instanceof Error ? error.message : String(error) }
  }
}

/** A medium that was removed still has its open file; only reading what is not in memory fails. */
async function readSomewhere(source: ServingOptions['bundles'][number]['source']): Promise<void> {
  const length = Math.min(4096, source.size)
  await source.read(Buffer.alloc(length), randomInt(source.size - length + 1))
}

function requireServers({ serving }: MonitoringOptions): void {
  const made = new Set(serving().processes.flatMap(({ serves }) => serves))
  const missing = ['registry', 'http'].filter(name => !made.has(name))
  if (missing.length > 0) throw new Error(`not ready yet: ${missing.join(', ')}`)
}

function requireDisk({ available }: { available: number }): void {
  if (available < leastDisk)
    throw new Error(
      `${available >> 20} MiB are free on the file system of the state folder, less than ${leastDisk >> 20}`,
    )
}

/** When the certificate of the servers expires; undefined with plain HTTP. */
function expiryOf(tls: ServingOptions['tls']): Date | undefined {
  return tls === undefined ? undefined : new X509Certificate(tls.certificate).validToDate
}

async function diskOf(folder: string): Promise<{ size: number; available: number }> {
  const { bsize, blocks, bavail } = await statfs(folder)
  return { size: bsize * blocks, available: bsize * bavail }
}

/** Returns the last result while it is fresh; one call serves all who wait. */
function kept<T>(make: () => Promise<T>, forMs = keptMs): () => Promise<T> {
  let made: { at: number; result: Promise<T> } | undefined
  return async () => {
    if (made === undefined || performance.now() - made.at > forMs)
      made = { at: performance.now(), result: make() }
    return await made.result
  }
}
