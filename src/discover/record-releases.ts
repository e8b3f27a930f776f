import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { AirgapError } from '../core/errors.ts'
import { brokenHelmfile, viewOf } from './broken-helmfile.ts'
import { hasDownloads, isUrl, placeInCache } from './charts-by-url.ts'
import type { Deployment } from './deployment.ts'
import { type ChartQuery, type RecordedRelease, readRecording, writeRecorder } from './helm-recorder.ts'
import { cacheOf, type HelmfileOptions, type ListedRelease, listReleases, runHelmfile } from './helmfile.ts'
import { type Failure, failureOf } from './render-failures.ts'

/** Releases of a deployment as helmfile passes them to helm. */
export interface Recorded {
  releases: RecordedRelease[]
  /** name → URL of `repositories:` */
  repositories: Map<string, string>
  /** charts that helmfile downloads itself: by URL, of a registry, or for patches; `releases`: `name (namespace)`, where known */
  downloaded: (ChartQuery & { releases: string[] })[]
  /** what helmfile could not prepare */
  failures: Failure[]
}

/** The archive of a chart on this machine, or why it could not be fetched; undefined lets helm or helmfile try. */
export type FindChart = (
  query: ChartQuery,
  repositories: ReadonlyMap<string, string>,
) => Promise<{ archive: string } | { failure: Failure } | undefined>

export interface RecordOptions extends HelmfileOptions {
  findChart: FindChart
}

interface Context extends RecordOptions {
  /** what helmfile reads: the deployment, or a view of it without the parts that it cannot load */
  deployment: Deployment
  /** folder of the view; empty without one */
  view: string
  /** charts that releases name by URL */
  byUrl: Map<string, ChartByUrl>
}

interface ChartByUrl extends ChartQuery {
  found: Awaited<ReturnType<FindChart>>
  releases: string[]
}

/** More parts than these are not looked for one by one. */
const maxBroken = 100

/**
 * Records the releases of an environment. Where helmfile fails, sub-helmfiles that it cannot load are left out, and each release is
 * recorded on its own, so that what cannot be prepared does not hide the rest. Throws USAGE for an unknown environment.
 */
export async function recordReleases(deployment: Deployment, options: RecordOptions): Promise<Recorded> {
  const replaced = new Map<string, string>()
  const through = new Set<string>()
  const context: Context = { ...options, deployment, view: '', byUrl: new Map() }
  const environment = `${deployment.helmfile}: environment ${deployment.environment}`
  const failures: Failure[] = []
  for (let broken = 0; ; ) {
    const whole = await record([], context)
    const end = (): Recorded => ({
      ...whole,
      downloaded: [...whole.downloaded, ...context.byUrl.values()],
      failures: [...failures, ...whole.absent.map(path => absentHelmfile(path, environment))],
    })
    if (broken === 0) refuseUnknown(whole.failed, deployment)
    if (whole.failed === undefined && !whole.fetched) return end()
    const list = await listReleases(context.deployment, options)
    if ('listed' in list) {
      if (await findChartsByUrl(list.listed, { context, repositories: whole.repositories })) continue
      return whole.failed === undefined
        ? end()
        : await recordEach(list.listed, { deployment, context, all: end() })
    }
    const view = { replaced, through, folder: await mkdtemp(join(options.folder, 'view-')) }
    const part =
      broken < maxBroken
        ? await brokenHelmfile(list.failed, { ...view, helmfile: deployment.helmfile })
        : undefined
    if (part === undefined) {
      failures.push(failure(whole.failed ?? list.failed, { item: environment, deployment, selector: [] }))
      return end()
    }
    broken++
    const item = `${environment}, helmfile ${part.shown}`
    failures.push(failure(withoutView(list.failed, context.view), { item, deployment, selector: [] }))
    replaced.set(...part.replacement)
    for (const path of part.through) through.add(path)
    context.view = view.folder
    context.deployment = { ...deployment, helmfile: await viewOf(deployment.helmfile, view) }
  }
}

function refuseUnknown(failed: string | undefined, { helmfile, environment }: Deployment): void {
  const signs = /environment "?[^"\n]+"? is not defined|no releases found that matches specified selector/
  if (failed === undefined || !signs.test(failed)) return
  throw new AirgapError('USAGE', 'the helmfile has no such environment, or no releases in it', {
    item: `${helmfile}: ${environment}`,
    next: 'choose one of the environments under `environments:` in the helmfile',
  })
}

/** helmfile skips a sub-helmfile that does not exist; whatever it was meant to install is missing in the report. */
function absentHelmfile(path: string, environment: string): Failure {
  return {
    item: `${environment}, helmfile ${path}`,
    likely: 'the file does not exist, so helmfile skips it',
    next: `add ${path}, or remove it from \`helmfiles:\`; where it may be missing, set \`missingFileHandler: Info\` in the helmfile`,
  }
}

/** Looks up the charts that these releases name by URL. Returns whether an archive was found that helmfile did not have before. */
async function findChartsByUrl(
  listed: readonly ListedRelease[],
  { context, repositories }: { context: Context; repositories: ReadonlyMap<string, string> },
): Promise<boolean> {
  let isNew = false
  for (const { name, namespace, chart, version } of listed) {
    if (!isUrl(chart)) continue
    const label = namespace === '' ? name : `${name} (${namespace})`
    const known = context.byUrl.get(chart)
    if (known !== undefined) {
      if (!known.releases.includes(label)) known.releases.push(label)
      continue
    }
    const query = { reference: chart, version }
    const found = /^https?:/.test(chart) ? await context.findChart(query, repositories) : undefined
    context.byUrl.set(chart, { ...query, found, releases: [label] })
    if (found !== undefined && 'archive' in found) isNew = true
  }
  return isNew
}

/** Records each release on its own. `all`: what was recorded before helmfile failed. */
async function recordEach(
  listed: readonly ListedRelease[],
  { deployment, context, all }: { deployment: Deployment; context: Context; all: Recorded },
): Promise<Recorded> {
  for (const { name, namespace, chart } of listed) {
    // earlier parts of a helmfile of several parts were recorded
    if (all.releases.some(one => one.name === name && one.namespace === namespace)) continue
    const selector = [
      '--selector',
      [`name=${name}`, ...(namespace ? [`namespace=${namespace}`] : [])].join(','),
    ]
    const own = await record(selector, context)
    all.releases.push(...own.releases)
    all.downloaded.push(...own.downloaded)
    for (const [repository, url] of own.repositories) all.repositories.set(repository, url)
    if (own.failed === undefined) continue
    const item = `${deployment.helmfile}: environment ${deployment.environment}, release ${name}${namespace ? ` (${namespace})` : ''}`
    const found = context.byUrl.get(chart)?.found
    all.failures.push(
      found !== undefined && 'failure' in found
        ? { ...found.failure, item }
        : failure(own.failed, { item, deployment, selector }),
    )
  }
  return all
}

/** A command that renders the deployment, or what the selector selects, by hand. */
export function commandOf(
  { helmfile, environment, values }: Deployment,
  selector: readonly string[],
): string {
  const files = values.flatMap(path => ['--state-values-file', path])
  return ['helmfile', '-f', helmfile, '-e', environment, ...files, ...selector, 'template'].join(' ')
}

function failure(
  output: string,
  { item, deployment, selector }: { item: string; deployment: Deployment; selector: readonly string[] },
): Failure {
  return failureOf(output, { item, deployment, byHand: commandOf(deployment, selector) })
}

interface OneRecording extends Omit<Recorded, 'failures'> {
  /** the output of helmfile, if it failed */
  failed: string | undefined
  /** helmfile itself downloaded something by URL */
  fetched: boolean
  /** sub-helmfiles that do not exist */
  absent: string[]
}

async function record(selector: readonly string[], context: Context): Promise<OneRecording> {
  const { deployment, view, byUrl, ...options } = context
  const answers: (ChartQuery & { archive: string | undefined })[] = []
  for (;;) {
    const folder = await mkdtemp(join(options.folder, 'record-'))
    const recorder = await writeRecorder(folder, { helm: options.renderer.helm, answers })
    const placed = [...byUrl].flatMap(([url, { found }]) =>
      found !== undefined && 'archive' in found ? [{ url, archive: found.archive }] : [],
    )
    for (const { url, archive } of placed) await placeInCache(url, { archive, cache: cacheOf(folder) })
    const { status, output } = await runHelmfile(deployment, {
      ...options,
      recorder,
      folder,
      words: [...selector, 'template', ...kubeVersion(deployment)],
    })
    const { releases, repositories, wanted } = await readRecording(folder)
    const open = wanted.filter(query => !answers.some(answer => isSame(answer, query)))
    if (status === 0 || open.length === 0) {
      return {
        releases,
        repositories,
        downloaded: answers.map(({ reference, version }) => ({ reference, version, releases: [] })),
        failed: status === 0 ? undefined : withoutView(output, view),
        fetched: byUrl.size === 0 && (await hasDownloads(cacheOf(folder))),
        // a glob may match nothing
        absent: [
          ...new Set(
            [...output.matchAll(/no matches for path: ([^\s*?[\]{}]+)$/gm)].map(([, path]) => path!),
          ),
        ],
      }
    }
    for (const query of open) {
      const found = await options.findChart(query, repositories)
      answers.push({
        ...query,
        archive: found !== undefined && 'archive' in found ? found.archive : undefined,
      })
    }
  }
}

/** Paths as they are in the tree. */
function withoutView(output: string, view: string): string {
  return view === '' ? output : output.replaceAll(view, '')
}

const isSame = (a: ChartQuery, b: ChartQuery) => a.reference === b.reference && a.version === b.version

function kubeVersion({ kubernetes }: Deployment): string[] {
  return kubernetes === undefined ? [] : ['--kube-version', kubernetes]
}
