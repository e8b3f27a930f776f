import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { runProgram } from './program.ts'

/** What to render. */
export interface Deployment {
  /** absolute path of the helmfile */
  helmfile: string
  environment: string
  /** version of the cluster, on which charts depend */
  kubernetes?: string
  /** absolute paths of further values files: what the site sets in addition to the environment */
  values: string[]
  /** folder of the bundle's charts, `NAME-VERSION.tgz`: the value `charts` of a deployment tree */
  charts?: string
}

/** The site's addresses; empty for a site with internet access. */
export interface Addresses {
  registry: string
  httpServer: string
}

export interface Renderer {
  helm: string
  helmfile: string
  signal: AbortSignal
}

export interface RenderedRelease {
  /** `astrago (astrago)`: name and namespace */
  release: string
  /** YAML, as `helm template` writes it */
  text: string
}

const howToGet =
  'run ./scripts/setup --with-tools, or install helm 3 (https://helm.sh) and helmfile (https://helmfile.readthedocs.io) on PATH'

/**
 * Renders every release of an environment, including hooks and tests, with these addresses instead of those of the environment.
 * Does not contact a cluster. Throws RENDER_FAILED with the message of helm, USAGE for an unknown environment.
 */
export async function renderReleases(
  deployment: Deployment,
  { addresses, renderer }: { addresses: Addresses; renderer: Renderer },
): Promise<RenderedRelease[]> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-render-'))
  try {
    const { status, stderr } = await runProgram({
      program: renderer.helmfile,
      args: argsOf(deployment, { addresses, renderer, folder }),
      cwd: dirname(deployment.helmfile),
      howToGet,
      signal: renderer.signal,
    })
    if (status !== 0) throw failure(deployment, stderr)
    return await readReleases(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function argsOf(
  { helmfile, environment, kubernetes, values, charts }: Deployment,
  { addresses, renderer, folder }: { addresses: Addresses; renderer: Renderer; folder: string },
): string[] {
  return [
    '--file',
    basename(helmfile),
    '--environment',
    environment,
    '--helm-binary',
    renderer.helm,
    '--no-color',
    '--quiet',
    ...values.flatMap(path => ['--state-values-file', path]),
    ...(charts === undefined ? [] : ['--state-values-set-string', `charts=${charts}`]),
    '--state-values-set-string',
    `offline.registry=${addresses.registry}`,
    '--state-values-set-string',
    `offline.httpServer=${addresses.httpServer}`,
    'template',
    '--skip-deps',
    ...(kubernetes === undefined ? [] : ['--kube-version', kubernetes]),
    '--output-dir',
    folder,
    '--output-dir-template',
    '{{ .OutputDir }}/{{ .Release.Namespace }}/{{ .Release.Name }}',
  ]
}

/** Reads what helm wrote: one file for each template. */
async function readReleases(folder: string): Promise<RenderedRelease[]> {
  const releases = new Map<string, string[]>()
  try {
    const files = await readdir(folder, { recursive: true, withFileTypes: true })
    const paths = files.filter(file => file.isFile()).map(file => join(file.parentPath, file.name))
    for (const path of paths.sort()) {
      const [namespace = '', name = ''] = path.slice(folder.length + 1).split('/')
      const release = namespace === '' ? name : `${name} (${namespace})`
      const texts = releases.get(release) ?? []
      texts.push(await readFile(path, 'utf8'))
      releases.set(release, texts)
    }
  } catch (error) {
    throw fromSystemError(error, folder)
  }
  return [...releases].map(([release, texts]) => ({ release, text: texts.join('\n---\n') }))
}

function failure({ helmfile, environment, values }: Deployment, stderr: string): AirgapError {
  const missing = /environment "?[^"\n]+"? is not defined|no releases found that matches specified selector/
  if (missing.test(stderr)) {
    return new AirgapError('USAGE', 'the helmfile has no such environment, or no releases in it', {
      item: `${helmfile}: ${environment}`,
      next: 'choose one of the environments under `environments:` in the helmfile',
    })
  }
  // helmfile prints the arguments of helm: `2: app (3 bytes)` after `1: template`
  const release =
    /1: template \(\d+ bytes\)\n\s*2: (\S+) \(/.exec(stderr)?.[1] ??
    /(?:failed processing release|release=) ?"?([A-Za-z0-9._-]+)/.exec(stderr)?.[1]
  const errors = stderr
    .split('\n')
    .map(line => line.trim().replace(/^Error: /, ''))
    .filter(
      line =>
        /error |fail|cannot|nil pointer|not found|template:/i.test(line) && !/^in .*exited with/.test(line),
    )
  const reported = [...new Set(errors.length > 0 ? errors : stderr.trim().split('\n'))]
  const files = values.map(path => ` --state-values-file ${path}`).join('')
  return new AirgapError('RENDER_FAILED', 'a release does not render', {
    item: `${helmfile}: environment ${environment}${release === undefined ? '' : `, release ${release}`}`,
    likely: reported.slice(-4).join('; ').slice(0, 1200),
    next: `check the values of this release (${[`environment ${environment}`, ...values].join(', ')}); to render it by hand, run: helmfile -f ${helmfile} -e ${environment}${files} template`,
  })
}
