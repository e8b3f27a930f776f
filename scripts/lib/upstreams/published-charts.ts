import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../run.ts'

const charts = join(import.meta.dirname, 'published-charts')

/**
 * Packs stand-ins for the published charts that the deployment tree uses, as `folder/NAME-VERSION.tgz`. A stand-in has the published
 * chart's name, version, subcharts and values, takes the image references from the same values in the same way, and has
 * workloads, hooks, claims and custom resources of the same kinds; it has no more than that. Needs helm.
 */
export async function packPublishedCharts(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const name of await readdir(charts))
    await run(['helm', 'package', join(charts, name), '--destination', folder])
}
