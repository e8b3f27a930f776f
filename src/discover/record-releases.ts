import { mkdir, mkdtemp } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AirgapError } from '../core/errors.ts'
import type { Addresses, Deployment, Renderer } from './deployment.ts'
import { type ChartQuery, type RecordedRelease, readRecording, writeRecorder } from './helm-recorder.ts'
import { runProgram } from './program.ts'
import { type Failure, failureOf } from './render-failures.ts'

/** Releases of a deployment as helmfile passes them to helm. */
export interface Recorded {
  releases: RecordedRelease[]
  /** name → URL of `repositories:` */
  repositories: Map<string, string>
  /** charts that helmfile downloaded itself, for a registry or patches */
  downloaded: ChartQuery[]
  /** what helmfile could not prepare */
  failures: Failure[]
}

export interface RecordOptions {
  addresses: Addresses
  renderer: Renderer
  /** new folders are made in it, and kept: recorded releases refer to files in them */
  folder: string
  /** archive of a chart that helmfile would download itself; undefined lets helm try */
  archiveOf: (query: ChartQuery, repositories: ReadonlyMap<string, string>) => Promise<string | undefined>
}

const howToGet =
  'run ./scripts/setup --with-tools, or install helm 3 (https://helm.sh) and helmfile (https://helmfile.readthedocs.io) on PATH'

/**
 * Records the releases of an environment. Where helmfile fails, each release is recorded on its own, so that one that cannot be
 * prepared does not hide the others. Throws USAGE for an unknown environment.
 */
export async function recordReleases(deployment: Deployment, options: RecordOptions): Promise<Recorded> {
  const whole = await record(deployment, [], options)
  if (whole.failed === undefined) return { ...whole, failures: [] }
  const environment = `${deployment.helmfile}: environment ${deployment.environment}`
  if (
    /environment "?[^"\n]+"? is not defined|no releases found that matches specified selector/.test(
      whole.failed,
    )
  ) {
    throw new AirgapError('USAGE', 'the helmfile has no such environment, or no releases in it', {
      item: `${deployment.helmfile}: ${deployment.environment}`,
      next: 'choose one of the environments under `environments:` in the helmfile',
    })
  }
  const listed = await listReleases(deployment, options)
  const all: Recorded = { ...whole, failures: [] }
  if (listed === undefined) {
    all.failures.push(failure(whole.failed, { item: environment, deployment, selector: [] }))
    return all
  }
  for (const { name, namespace } of listed) {
    // earlier parts of a helmfile of several parts were recorded
    if (all.releases.some(one => one.name === name && one.namespace === namespace)) continue
    const selector = [
      '--selector',
      [`name=${name}`, ...(namespace ? [`namespace=${namespace}`] : [])].join(','),
    ]
    const own = await record(deployment, selector, options)
    all.releases.push(...own.releases)
    all.downloaded.push(...own.downloaded)
    for (const [repository, url] of own.repositories) all.repositories.set(repository, url)
    if (own.failed === undefined) continue
    const item = `${environment}, release ${name}${namespace ? ` (${namespace})` : ''}`
    all.failures.push(failure(own.failed, { item, deployment, selector }))
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

/** `failed`: the output of helmfile, if it failed. */
async function record(
  deployment: Deployment,
  selector: readonly string[],
  options: RecordOptions,
): Promise<Omit<Recorded, 'failures'> & { failed: string | undefined }> {
  const answers: (ChartQuery & { archive: string | undefined })[] = []
  for (;;) {
    const folder = await mkdtemp(join(options.folder, 'record-'))
    const recorder = await writeRecorder(folder, { helm: options.renderer.helm, answers })
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
        downloaded: answers.map(({ reference, version }) => ({ reference, version })),
        failed: status === 0 ? undefined : output,
      }
    }
    for (const query of open)
      answers.push({ ...query, archive: await options.archiveOf(query, repositories) })
  }
}

const isSame = (a: ChartQuery, b: ChartQuery) => a.reference === b.reference && a.version === b.version

function kubeVersion({ kubernetes }: Deployment): string[] {
  return kubernetes === undefined ? [] : ['--kube-version', kubernetes]
}

/** Returns the releases that would be installed; undefined if helmfile cannot even list them. */
async function listReleases(
  deployment: Deployment,
  options: RecordOptions,
): Promise<{ name: string; namespace: string }[] | undefined> {
  const folder = await mkdtemp(join(options.folder, 'list-'))
  const recorder = await writeRecorder(folder, { helm: options.renderer.helm, answers: [] })
  const words = ['list', '--output', 'json', '--skip-charts']
  const { status, stdout } = await runHelmfile(deployment, { ...options, recorder, folder, words })
  if (status !== 0) return undefined
  try {
    const listed = JSON.parse(stdout.slice(stdout.indexOf('['))) as ListedRelease[]
    return listed.filter(({ enabled, installed }) => enabled && installed)
  } catch {
    return undefined
  }
}

/** `helmfile list --output json` */
interface ListedRelease {
  name: string
  namespace: string
  enabled: boolean
  installed: boolean
}

async function runHelmfile(
  { helmfile, environment, values, charts }: Deployment,
  {
    addresses,
    renderer,
    recorder,
    folder,
    words,
  }: Pick<RecordOptions, 'addresses' | 'renderer' | 'folder'> & {
    recorder: string
    words: readonly string[]
  },
): Promise<{ status: number | null; stdout: string; output: string }> {
  const cache = join(folder, 'tmp', 'cache')
  await mkdir(cache, { recursive: true })
  const { status, stdout, stderr } = await runProgram({
    program: renderer.helmfile,
    args: [
      '--file',
      basename(helmfile),
      '--environment',
      environment,
      '--helm-binary',
      recorder,
      '--no-color',
      '--quiet',
      ...values.flatMap(path => ['--state-values-file', path]),
      ...(charts === undefined ? [] : ['--state-values-set-string', `charts=${charts}`]),
      '--state-values-set-string',
      `offline.registry=${addresses.registry}`,
      '--state-values-set-string',
      `offline.httpServer=${addresses.httpServer}`,
      ...words,
    ],
    cwd: dirname(helmfile),
    // charts of the bundle must not get into the operator's cache under another origin
    env: { TMPDIR: join(folder, 'tmp'), HELMFILE_CACHE_HOME: cache },
    howToGet,
    signal: renderer.signal,
  })
  return { status, stdout, output: `${stdout.slice(-4000)}\n${stderr}` }
}
