import { spawn } from 'node:child_process'
import { AirgapError, errnoOf } from '../core/errors.ts'

/** The oras CLI, as a program: copying into registries is its trade. No secret is ever in its arguments. */
export interface Oras {
  /** program to run: a path, or `oras` from PATH */
  program: string
  plainHttp: boolean
  /** docker config.json with the registry's credentials; oras' own default otherwise */
  registryConfig?: string
  signal: AbortSignal
}

const howToGet =
  'put the oras CLI (1.2 or newer) on PATH, name it with --oras, or run ./scripts/setup --with-oras where there is a Go toolchain'

/** Version of the CLI, or TOOL_MISSING with how to get it. */
export async function orasVersion(oras: Oras): Promise<string> {
  const text = await run(oras, ['version'])
  return /Version:\s+(\S+)/.exec(text)?.[1] ?? 'unknown'
}

/** Copies one manifest with all it needs out of a layout tar: `from` is `path@digest`, `to` a full reference. */
export async function orasCopy(oras: Oras, copy: { from: string; to: string }): Promise<void> {
  await run(oras, ['cp', '--from-oci-layout', '--no-tty', ...access(oras, 'to'), copy.from, copy.to])
}

/** Writes raw manifest bytes under a reference. */
export async function orasPushManifest(
  oras: Oras,
  push: { file: string; mediaType: string; to: string },
): Promise<void> {
  await run(oras, ['manifest', 'push', '--media-type', push.mediaType, ...access(oras), push.to, push.file])
}

function access(oras: Oras, prefix = ''): string[] {
  const flag = (name: string) => (prefix ? `--${prefix}-${name}` : `--${name}`)
  return [
    ...(oras.plainHttp ? [flag('plain-http')] : []),
    ...(oras.registryConfig === undefined ? [] : [flag('registry-config'), oras.registryConfig]),
  ]
}

async function run(oras: Oras, args: string[]): Promise<string> {
  return await new Promise((resolve, reject) => {
    const child = spawn(oras.program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal: oras.signal })
    let output = ''
    let errors = ''
    child.stdout.on('data', chunk => {
      output = (output + chunk).slice(-64_000)
    })
    child.stderr.on('data', chunk => {
      errors = (errors + chunk).slice(-64_000)
    })
    child.once('error', error => {
      if (errnoOf(error) !== 'ENOENT') return reject(error)
      reject(
        new AirgapError('TOOL_MISSING', 'the oras CLI is not here', {
          item: oras.program,
          next: howToGet,
          cause: error,
        }),
      )
    })
    child.once('close', code => (code === 0 ? resolve(output) : reject(failure(args, errors))))
  })
}

function failure(args: string[], output: string): AirgapError {
  const target = args.find(arg => arg.includes('/') && arg.includes(':')) ?? args.join(' ')
  const said = output.trim().split('\n').slice(-3).join(' ').slice(0, 600)
  if (/401|unauthorized|basic credential|403|denied/i.test(said)) {
    return new AirgapError('UNAUTHORIZED', 'the registry refused the credentials', {
      item: target,
      likely: said,
      next: 'run `oras login REGISTRY` (or `docker login`) as this user, or give --registry-config FILE',
    })
  }
  return new AirgapError('UPSTREAM', 'oras could not copy', {
    item: target,
    likely: said || 'oras said nothing',
    next: 'check that the registry is up and has room, then run the same command again: what is there is not copied twice',
  })
}
