import { mkdir, mkdtemp } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Addresses, Deployment, Renderer } from './deployment.ts'
import { writeRecorder } from './helm-recorder.ts'
import { runProgram } from './program.ts'

export interface HelmfileOptions {
  addresses: Addresses
  renderer: Renderer
  /** new folders are made in it, and kept: recorded releases refer to files in them */
  folder: string
}

const howToGet =
  'run ./scripts/setup --with-tools, or install helm 3 (https://helm.sh) and helmfile (https://helmfile.readthedocs.io) on PATH'

/** Of `helmfile list`: a tree of thousands of releases. */
const maxListed = 16 << 20 /* characters */

/** Folder of what helmfile downloads in a run whose folder this is (HELMFILE_CACHE_HOME). */
export function cacheOf(folder: string): string {
  return join(folder, 'tmp', 'cache')
}

/** Runs helmfile with a recorder in place of helm; `words` are its command with options. */
export async function runHelmfile(
  { helmfile, environment, values, charts }: Deployment,
  {
    addresses,
    renderer,
    recorder,
    folder,
    words,
  }: HelmfileOptions & { recorder: string; words: readonly string[] },
): Promise<{ status: number | null; stdout: string; output: string }> {
  const cache = cacheOf(folder)
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
    maxStdout: maxListed,
    signal: renderer.signal,
  })
  return { status, stdout, output: `${stdout.slice(-4000)}\n${stderr}` }
}

/** A release of `helmfile list --output json`. */
export interface ListedRelease {
  name: string
  namespace: string
  enabled: boolean
  installed: boolean
  chart: string
  version: string
}

/** Returns the releases that would be installed, or the output of helmfile if it cannot even list them. */
export async function listReleases(
  deployment: Deployment,
  options: HelmfileOptions,
): Promise<{ listed: ListedRelease[] } | { failed: string }> {
  const folder = await mkdtemp(join(options.folder, 'list-'))
  const recorder = await writeRecorder(folder, { helm: options.renderer.helm, answers: [] })
  const words = ['list', '--output', 'json', '--skip-charts']
  const { status, stdout, output } = await runHelmfile(deployment, { ...options, recorder, folder, words })
  if (status !== 0) return { failed: output }
  try {
    const listed = JSON.parse(stdout.slice(stdout.indexOf('['))) as ListedRelease[]
    return { listed: listed.filter(({ enabled, installed }) => enabled && installed) }
  } catch {
    return { failed: output }
  }
}
