import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import pLimit from 'p-limit'
import { checkedApis, dependsOnApis, providedApis } from './api-versions.ts'
import { type ChartFiles, readChartFiles } from './chart-files.ts'
import type { Addresses, Deployment, Renderer } from './deployment.ts'
import { labelsOf, type RecordedRelease } from './helm-recorder.ts'
import { chartCrds, type TemplateOptions, templateRelease } from './helm-template.ts'
import { kubernetesApis } from './kubernetes-apis.ts'
import { commandOf, type Recorded, recordReleases } from './record-releases.ts'
import { Charts, type DownloadedChart } from './remote-charts.ts'
import { type Failure, failureOf } from './render-failures.ts'
import { remoteReferences } from './values-schemas.ts'

export interface RenderedRelease {
  /** `astrago (astrago)`: name and namespace */
  release: string
  /** YAML, as `helm template` writes it */
  text: string
  /** what the cluster would have to be like for this to be installed; undefined if it is */
  condition?: string
}

/** A chart that helm cannot use without the internet, because its values schema refers to it. */
export interface RemoteSchema {
  /** path of the schema in the chart */
  path: string
  urls: string[]
  release: string
}

export interface Rendering {
  site: RenderedRelease[]
  public: RenderedRelease[]
  /** what did not render */
  failures: Failure[]
  charts: DownloadedChart[]
  schemas: RemoteSchema[]
}

/**
 * Renders every release of an environment, including hooks and tests, after post-renderers and patches: with these addresses, and
 * without addresses. Does not contact a cluster. What does not render is in `failures`; throws USAGE for an unknown environment.
 */
export async function renderDeployment(
  deployment: Deployment,
  { addresses, renderer }: { addresses: Addresses; renderer: Renderer },
): Promise<Rendering> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-render-'))
  try {
    const charts = new Charts(renderer)
    const options = { renderer, folder, findChart: charts.find.bind(charts) }
    const atSite = await recordReleases(deployment, { ...options, addresses })
    const none = { registry: '', httpServer: '' }
    const inPublic = await recordReleases(deployment, { ...options, addresses: none })
    const context = { deployment, renderer, charts }
    const base = [...kubernetesApis(deployment.kubernetes), ...(deployment.apiVersions ?? [])]
    const site = await renderWithOwnApis(await prepare(atSite, context), { ...context, apis: base })
    const plain = await renderAll(await prepare(inPublic, context), { ...context, apis: site.apis })
    return {
      site: site.releases,
      public: plain.releases,
      failures: distinctFailures(
        [...atSite.failures, ...site.failures],
        [...inPublic.failures, ...plain.failures],
      ),
      charts: charts.downloaded(atSite, addresses),
      schemas: site.schemas,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface Context {
  deployment: Deployment
  renderer: Renderer
  charts: Charts
}

/** A recorded release with its chart on this machine. */
interface Prepared {
  release: RecordedRelease
  /** `astrago (astrago)` */
  label: string
  chart: string
  files: ChartFiles
  /** why its chart could not be fetched; helm itself may have it, or a login for it */
  failure?: Failure
}

interface Rendered {
  releases: RenderedRelease[]
  failures: Failure[]
  schemas: RemoteSchema[]
}

async function prepare({ releases, repositories }: Recorded, context: Context): Promise<Prepared[]> {
  const labels = labelsOf(releases)
  return await Promise.all(
    releases.map(async (release, i) => {
      const { chart, failure } = await context.charts.pathOf(release, repositories)
      const files = await readChartFiles(resolve(release.cwd, chart))
      const label = labels[i]!
      const item = itemOf(label, context.deployment)
      return failure === undefined
        ? { release, label, chart, files }
        : { release, label, chart, files, failure: { ...failure, item } }
    }),
  )
}

function itemOf(label: string, { helmfile, environment }: Deployment): string {
  return `${helmfile}: environment ${environment}, release ${label}`
}

/** Renders with the APIs that the releases themselves add to the cluster. */
async function renderWithOwnApis(
  prepared: readonly Prepared[],
  context: Context & { apis: readonly string[] },
): Promise<Rendered & { apis: string[] }> {
  let apis = [...context.apis]
  let rendered = await renderAll(prepared, { ...context, apis })
  // a CRD may itself depend on another one
  for (let round = 0; round < 3; round++) {
    const crds = await Promise.all(
      prepared
        .filter(({ release }) => release.args.some(word => word.startsWith('--post-renderer')))
        .map(({ chart, release }) => chartCrds(chart, { renderer: context.renderer, cwd: release.cwd })),
    )
    const provided = [
      ...rendered.releases.filter(one => one.condition === undefined).map(one => one.text),
      ...crds,
    ]
    const added = new Set(provided.flatMap(providedApis).filter(api => !apis.includes(api)))
    if (added.size === 0) break
    apis = [...apis, ...added]
    const labels = new Set(prepared.filter(({ files }) => dependsOnApis(files)).map(({ label }) => label))
    if (labels.size === 0) break
    // several clusters may have a release of the same name
    const again = prepared.filter(({ label }) => labels.has(label))
    const next = await renderAll(again, { ...context, apis })
    const items = new Set(again.map(({ label }) => itemOf(label, context.deployment)))
    rendered = {
      releases: [...rendered.releases.filter(one => !labels.has(one.release)), ...next.releases],
      failures: [...rendered.failures.filter(one => !items.has(one.item)), ...next.failures],
      schemas: [...rendered.schemas.filter(one => !labels.has(one.release)), ...next.schemas],
    }
  }
  return { ...rendered, apis }
}

async function renderAll(
  prepared: readonly Prepared[],
  context: Context & { apis: readonly string[] },
): Promise<Rendered> {
  const limit = pLimit(availableParallelism())
  const all = await Promise.all(prepared.map(one => limit(() => renderOne(one, context))))
  return {
    releases: all.flatMap(one => one.releases),
    failures: all.flatMap(one => one.failures),
    schemas: all.flatMap(one => one.schemas),
  }
}

async function renderOne(
  { release, label, chart, files, failure }: Prepared,
  { deployment, renderer, apis }: Context & { apis: readonly string[] },
): Promise<Rendered> {
  const schemas = await unreachableSchemas({ release, label, chart, files, renderer, apis })
  const options: TemplateOptions = {
    renderer,
    chart,
    apis,
    schemas: schemas.length > 0 ? 'skipped' : 'validated',
  }
  const result = await templateRelease(release, options)
  if ('error' in result) {
    if (failure !== undefined) return { releases: [], failures: [failure], schemas }
    const { name, namespace } = release
    const selector = ['-l', [`name=${name}`, ...(namespace ? [`namespace=${namespace}`] : [])].join(',')]
    const byHand = commandOf(deployment, selector)
    const reported = failureOf(result.error, { item: itemOf(label, deployment), deployment, byHand })
    return { releases: [], failures: [reported], schemas }
  }
  const releases: RenderedRelease[] = [{ release: label, text: result.text }]
  const add = async (more: Partial<TemplateOptions>, condition?: string) => {
    const other = await templateRelease(release, { ...options, ...more })
    if ('error' in other || other.text === result.text) return
    releases.push({ release: label, text: other.text, ...(condition !== undefined && { condition }) })
  }
  // the first installation and every later one
  if ([...files.values()].some(text => /Release\.Is(?:Upgrade|Install)\b/.test(text)))
    await add({ upgrade: true })
  const unknown = checkedApis(files).filter(api => !apis.includes(api))
  if (unknown.length > 0)
    await add({ apis: [...apis, ...unknown] }, `the cluster has none of the APIs ${unknown.join(', ')}`)
  return { releases, failures: [], schemas }
}

/** Schemas of disabled subcharts are not read, so helm itself decides, with a network that refuses every connection. */
async function unreachableSchemas({
  release,
  label,
  chart,
  files,
  renderer,
  apis,
}: Pick<Prepared, 'release' | 'label' | 'chart' | 'files'> & {
  renderer: Renderer
  apis: readonly string[]
}): Promise<RemoteSchema[]> {
  const found = [...remoteReferences(files)].map(([path, urls]) => ({ path, urls, release: label }))
  if (found.length === 0) return []
  // Go's proxies never apply to this machine
  const local = found.filter(({ urls }) =>
    urls.some(url => /^https?:\/\/(?:localhost|127\.|\[::1\])/.test(url)),
  )
  if (local.length > 0) return found
  const options = { renderer, chart, apis, schemas: 'validated without network' } as const
  return 'error' in (await templateRelease(release, options)) ? found : []
}

/** A release that fails with and without the site's addresses is one failure. */
function distinctFailures(site: readonly Failure[], inPublic: readonly Failure[]): Failure[] {
  const known = new Set(site.map(({ item }) => item))
  const only = inPublic
    .filter(({ item }) => !known.has(item))
    .map(failure => ({ ...failure, item: `${failure.item} (without offline.registry)` }))
  return [...site, ...only]
}
