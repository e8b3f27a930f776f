import { spawn } from 'node:child_process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { AirgapError, errnoOf, fromSystemError, isErrorCode } from '../core/errors.ts'
import { orasFailure } from './oras-failure.ts'

/** The oras CLI as a program, which copies into registries. Its arguments never contain a secret: any user can list them. */
export interface Oras {
  /** program to run: a path, or a name on PATH */
  program: string
  plainHttp: boolean
  /** docker config.json with the registry's credentials; default: oras' own */
  registryConfig?: string
  /** PEM file of the authority of the registry's certificate, instead of the system's authorities */
  caFile?: string
  signal: AbortSignal
}

const howToGet =
  'run `./scripts/setup --with-oras` if this host has a Go toolchain; or put oras 1.2 or newer (https://oras.land) on PATH, or pass --oras FILE'

/** Returns the version of the CLI. Throws TOOL_MISSING, with advice, if it cannot be started, is older than 1.2 or is another program. */
export async function orasVersion(oras: Oras): Promise<string> {
  let text = ''
  try {
    text = await run(oras, { args: ['version'], item: oras.program })
  } catch (error) {
    if (!isErrorCode(error, 'UPSTREAM')) throw error
  }
  const version = /Version:\s+(\S+)/.exec(text)?.[1]
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version ?? '') ?? []
  if (version !== undefined && (major === undefined || Number(major) > 1 || Number(minor) >= 2))
    return version
  const what = version === undefined ? 'the program is not the oras CLI' : `oras ${version} is too old`
  throw new AirgapError('TOOL_MISSING', what, {
    item: oras.program,
    likely: 'another program of that name, or an old version, is first on PATH',
    next: howToGet,
  })
}

/**
 * Copies one root of a layout tar with everything that it refers to: `from` is `path@digest`, `to` a complete reference. Only for
 * roots in index.json: oras does not know the media type of other manifests.
 */
export async function orasCopy(oras: Oras, copy: { from: string; to: string }): Promise<void> {
  const args = ['cp', '--from-oci-layout', '--no-tty', ...access(oras, 'to-'), copy.from, copy.to]
  await run(oras, { args, item: copy.to })
}

/** Writes one blob; `to` is `host/repository@digest`. Reads nothing of `body` if the registry has the blob. */
export async function orasPushBlob(
  oras: Oras,
  push: { to: string; size: number; body: Readable },
): Promise<void> {
  const args = ['blob', 'push', '--no-tty', '--size', `${push.size}`, ...access(oras), push.to, '-']
  await run(oras, { args, item: push.to, input: push.body })
}

/** Writes the raw bytes of a manifest under a reference. Throws UNSUPPORTED if the registry refuses such a manifest. */
export async function orasPushManifest(
  oras: Oras,
  push: { to: string; mediaType: string; body: Readable },
): Promise<void> {
  const args = ['manifest', 'push', '--no-tty', '--media-type', push.mediaType, ...access(oras), push.to, '-']
  await run(oras, { args, item: push.to, input: push.body })
}

/** Returns the digest that a reference has in the registry. */
export async function orasResolve(oras: Oras, reference: string): Promise<string> {
  return (await run(oras, { args: ['resolve', ...access(oras), reference], item: reference })).trim()
}

function access(oras: Oras, prefix = ''): string[] {
  return [
    ...(oras.plainHttp ? [`--${prefix}plain-http`] : []),
    ...(oras.caFile === undefined ? [] : [`--${prefix}ca-file`, oras.caFile]),
    ...(oras.registryConfig === undefined ? [] : [`--${prefix}registry-config`, oras.registryConfig]),
  ]
}

interface Run {
  args: string[]
  /** for messages */
  item: string
  /** its standard input */
  input?: Readable
}

async function run(oras: Oras, { args, item, input }: Run): Promise<string> {
  const child = spawn(oras.program, args, { stdio: ['pipe', 'pipe', 'pipe'], signal: oras.signal })
  let output = ''
  let errors = ''
  child.stdout.on('data', chunk => {
    output = (output + chunk).slice(-64_000)
  })
  child.stderr.on('data', chunk => {
    errors = (errors + chunk).slice(-64_000)
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', error => reject(notStarted(error, oras.program)))
    child.once('close', resolve)
  })
  const [code, inputError] = await Promise.all([ended, feed(input ?? Readable.from([]), child.stdin)])
  if (inputError !== undefined) throw inputError
  if (code !== 0) throw orasFailure(errors, item)
  return output
}

/** Returns the error of the input itself; that the program stops reading is none. */
async function feed(input: Readable, stdin: NodeJS.WritableStream): Promise<unknown> {
  try {
    await pipeline(input, stdin)
    return undefined
  } catch (error) {
    return ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'].includes(errnoOf(error) ?? '')
      ? undefined
      : error
  }
}

function notStarted(error: Error, program: string): unknown {
  if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EACCES' || errnoOf(error) === 'ENOEXEC') {
    const what = errnoOf(error) === 'ENOENT' ? 'the oras CLI is missing' : 'the oras CLI cannot be started'
    const likely = 'it is neither on PATH nor built by ./scripts/setup, or --oras names another file'
    return new AirgapError('TOOL_MISSING', what, { item: program, likely, next: howToGet, cause: error })
  }
  return fromSystemError(error, program)
}
