import { AirgapError } from '../core/errors.ts'
import type { Renderer } from './deployment.ts'
import type { RecordedRelease } from './helm-recorder.ts'
import { runProgram } from './program.ts'

/** More than all charts of any known tree render together. */
const maxRendered = 256 << 20 /* characters */

const howToGet = 'run ./scripts/setup --with-tools, or install helm 3 (https://helm.sh) on PATH'

/** The discard port: a proxy there refuses every connection, as a closed network does. */
const noNetwork = { HTTP_PROXY: 'http://127.0.0.1:9', HTTPS_PROXY: 'http://127.0.0.1:9', NO_PROXY: '' }

export interface TemplateOptions {
  renderer: Renderer
  /** path of the chart, instead of the recorded one */
  chart: string
  /** in addition to those that helm knows */
  apis: readonly string[]
  /** render as for `helm upgrade` */
  upgrade?: boolean
  schemas?: 'validated' | 'validated without network' | 'skipped'
}

/** Renders a recorded release, post-renderer included. `error`: the message of helm, if it failed. */
export async function templateRelease(
  { args, cwd }: RecordedRelease,
  { renderer, chart, apis, upgrade = false, schemas = 'validated' }: TemplateOptions,
): Promise<{ text: string } | { error: string }> {
  const [command = '', name = '', , ...flags] = args
  const postRendered = flags.some(flag => /^--post-renderer(?:=|$)/.test(flag))
  const { status, stdout, stderr } = await runProgram({
    program: renderer.helm,
    args: [
      command,
      name,
      chart,
      ...flags,
      // helm install does not pass the CRDs of crds/ to a post-renderer
      ...(postRendered ? [] : ['--include-crds']),
      ...(upgrade ? ['--is-upgrade'] : []),
      ...(schemas === 'skipped' ? ['--skip-schema-validation'] : []),
      ...apis.flatMap(api => ['--api-versions', api]),
    ],
    cwd,
    ...(schemas === 'validated without network' && { env: noNetwork }),
    howToGet,
    maxStdout: maxRendered,
    signal: renderer.signal,
  })
  if (status === 0) return { text: stdout }
  // helm 3.16 added the flag
  if (schemas === 'skipped' && /unknown flag: .*schema/.test(stderr)) {
    throw new AirgapError('TOOL_MISSING', 'this helm cannot skip schemas that refer to the internet', {
      item: renderer.helm,
      next: 'install helm 3.16 or newer: ./scripts/setup --with-tools',
    })
  }
  return { error: stderr }
}

/** Returns the CRDs in `crds/` of a chart and its subcharts; none if helm fails. */
export async function chartCrds(
  chart: string,
  { renderer, cwd }: { renderer: Renderer; cwd: string },
): Promise<string> {
  const args = ['show', 'crds', chart]
  const run = { program: renderer.helm, args, cwd, howToGet, maxStdout: maxRendered, signal: renderer.signal }
  const { status, stdout } = await runProgram(run)
  return status === 0 ? stdout : ''
}
