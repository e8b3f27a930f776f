import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { chosenByHelm } from '../core/chart-version.ts'
import { type AirgapError, isUpstreamFailure } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { textBefore, withoutTrailing } from '../core/trim.ts'
import type { Addresses, CarriedChart, RemoteChart, Renderer } from './deployment.ts'
import { type ChartQuery, labelsOf, type RecordedRelease } from './helm-recorder.ts'
import type { Recorded } from './record-releases.ts'
import type { Failure } from './render-failures.ts'

/** A chart that helmfile would download on the site. */
export interface DownloadedChart {
  chart: RemoteChart
  /** name and version of the manifest's chart; undefined if it has none */
  carried?: string
  releases: string[]
}

/** Whether helm would take the chart from a repository or a registry instead of from the file system. */
async function isRemote(chart: string, cwd: string): Promise<boolean> {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(chart)) return true
  if (/^[./]/.test(chart) || !chart.includes('/')) return false
  return (await stat(resolve(cwd, chart)).catch(() => undefined)) === undefined
}

/** `repositories`: name → URL, of the helmfile. */
function remoteChart(
  { reference, version }: ChartQuery,
  repositories: ReadonlyMap<string, string>,
): RemoteChart {
  const url = /^[\w.+-]+::|^(?:https?|s3):/.test(reference)
  const parts = (url ? textBefore(reference, '?#') : reference).split('/')
  const last = parts.pop() ?? ''
  if (url) {
    // the archive itself, NAME-VERSION.tgz, or a folder
    const [, name = last, own = ''] = /^(.+?)-(v?\d.*)\.(?:tgz|tar\.gz)$/.exec(last) ?? []
    const shown = { reference: redactUrl(reference), name, version: version || own }
    return /^https?:/.test(reference) ? { ...shown, repo: parts.join('/') } : shown
  }
  const repo = reference.startsWith('oci:') ? parts.join('/') : repositories.get(parts[0] ?? '')
  return repo === undefined ? { reference, name: last, version } : { reference, name: last, version, repo }
}

/**
 * Returns the carried chart that satisfies the constraint: the newest one, preferably of the same repository. Charts of a mirror
 * have another address, so the name and version decide.
 */
function carriedChart(
  { name, version, repo }: RemoteChart,
  carried: readonly CarriedChart[],
): CarriedChart | undefined {
  const named = carried.filter(chart => chart.name === name)
  const same = named.filter(chart => trimmed(chart.repo) === trimmed(repo ?? ''))
  return chosenByHelm(same, version) ?? chosenByHelm(named, version)
}

const trimmed = (url: string) => withoutTrailing(url, '/')

/** The remote charts of a deployment: each is looked up, and fetched, once. */
export class Charts {
  readonly #renderer: Renderer
  /** references that were looked up */
  readonly #remote = new Set<string>()
  readonly #pulled = new Map<string, Promise<{ archive: string } | { failure: Failure }>>()

  constructor(renderer: Renderer) {
    this.#renderer = renderer
  }

  /** The chart of a release: in the tree, carried, or fetched; as recorded if only helm may know it. */
  async pathOf(
    { chart, version, cwd }: RecordedRelease,
    repositories: ReadonlyMap<string, string>,
  ): Promise<{ chart: string; failure?: Failure }> {
    if (!(await isRemote(chart, cwd))) return { chart }
    const found = await this.#find(remoteChart({ reference: chart, version }, repositories))
    if (found === undefined) return { chart }
    return 'archive' in found ? { chart: found.archive } : { chart, failure: found.failure }
  }

  /** The chart that helmfile would download; undefined if only helm may know it. */
  async find(
    query: ChartQuery,
    repositories: ReadonlyMap<string, string>,
  ): Promise<{ archive: string } | { failure: Failure } | undefined> {
    return await this.#find(remoteChart(query, repositories))
  }

  /** What helmfile would download on the site, with the releases that need it. */
  downloaded({ releases, repositories, downloaded }: Recorded, addresses: Addresses): DownloadedChart[] {
    const { carried = [] } = this.#renderer
    const found = new Map<string, DownloadedChart>()
    const labels = labelsOf(releases)
    const add = (query: ChartQuery, users: string[]) => {
      const chart = remoteChart(query, repositories)
      const isOwn = [addresses.httpServer, `oci://${addresses.registry}`].some(own =>
        chart.repo?.startsWith(own),
      )
      const key = `${chart.reference}\n${chart.version}`
      const known = found.get(key)
      if (known !== undefined) known.releases.push(...users)
      if (known !== undefined || isOwn) return
      const own = carriedChart(chart, carried)
      found.set(key, { chart, ...(own && { carried: `${own.name} ${own.version}` }), releases: users })
    }
    for (const { releases: users, ...query } of downloaded) add(query, users)
    for (const [i, { chart, version }] of releases.entries()) {
      // a path in the tree, or a copy of a chart that helmfile made
      if (this.#remote.has(chart)) add({ reference: chart, version }, [labels[i]!])
    }
    return [...found.values()]
  }

  #find(chart: RemoteChart): Promise<{ archive: string } | { failure: Failure }> | undefined {
    this.#remote.add(chart.reference)
    const carried = carriedChart(chart, this.#renderer.carried ?? [])
    if (carried !== undefined) return Promise.resolve({ archive: carried.archive })
    const { repo, name, version } = chart
    const { pull } = this.#renderer
    if (pull === undefined || repo === undefined || !/^v?\d+(?:\.\d+)*(?:[-+].*)?$/.test(version))
      return undefined
    const key = `${chart.reference}\n${version}`
    const known = this.#pulled.get(key)
    if (known !== undefined) return known
    const pulled = pull({ ...chart, repo }).then(
      archive => ({ archive }),
      (error: unknown) => {
        if (!isUpstreamFailure(error)) throw error
        return { failure: notFetched(error, { name, version, repo }) }
      },
    )
    this.#pulled.set(key, pulled)
    return pulled
  }
}

function notFetched(
  error: AirgapError,
  { name, version, repo }: { name: string; version: string; repo: string },
): Failure {
  return {
    item: `${name} ${version}`,
    likely: [
      `the manifest does not carry the chart ${name} ${version}, and it cannot be fetched`,
      error.message,
      error.item,
    ]
      .filter(text => text !== undefined && text !== '')
      .join(': '),
    next: `add it to \`charts:\` of the manifest: {name: ${name}, version: ${version}, repo: '${repo}'}, and let the helmfile name it as {{ .Values.charts }}/${name}-${version}.tgz, because the site cannot reach the repository. Where helm itself has access, helmfile repos makes the chart known to it`,
  }
}
