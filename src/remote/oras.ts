import { spawn } from 'node:child_process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { AirgapError, type ErrorCode, errnoOf, fromSystemError, isErrorCode } from '../core/errors.ts'

/** The oras CLI, as a program: copying into registries is its trade. No secret is ever in its arguments. */
export interface Oras {
  /** program to run: a path, or a name on PATH */
  program: string
  plainHttp: boolean
  /** docker config.json with the registry's credentials; oras' own default otherwise */
  registryConfig?: string
  /** PEM file of the authority that the registry's certificate is checked against, instead of the system's */
  caFile?: string
  signal: AbortSignal
}

const howToGet =
  'run ./scripts/setup --with-oras where there is a Go toolchain; or put oras 1.2 or newer (https://oras.land) on PATH, or name it with --oras FILE'

/** Version of the CLI. TOOL_MISSING, with how to get it, where it cannot be started, is older than 1.2 or is no oras. */
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
  const what = version === undefined ? 'that program is not the oras CLI' : `oras ${version} is too old`
  throw new AirgapError('TOOL_MISSING', what, {
    item: oras.program,
    likely: 'another program of that name, or an old one, comes first on PATH',
    next: howToGet,
  })
}

/**
 * Copies one root of a layout tar with all it needs: `from` is `path@digest`, `to` a full reference. Only for what
 * index.json names: of other manifests oras cannot tell the media type.
 */
export async function orasCopy(oras: Oras, copy: { from: string; to: string }): Promise<void> {
  const args = ['cp', '--from-oci-layout', '--no-tty', ...access(oras, 'to-'), copy.from, copy.to]
  await run(oras, { args, item: copy.to })
}

/** Writes one blob, `to` being `host/repository@digest`; nothing is read of `body` where the registry has it. */
export async function orasPushBlob(
  oras: Oras,
  push: { to: string; size: number; body: Readable },
): Promise<void> {
  const args = ['blob', 'push', '--no-tty', '--size', `${push.size}`, ...access(oras), push.to, '-']
  await run(oras, { args, item: push.to, input: push.body })
}

/** Writes raw manifest bytes under a reference. UNSUPPORTED where the registry does not take such a manifest. */
export async function orasPushManifest(
  oras: Oras,
  push: { to: string; mediaType: string; body: Readable },
): Promise<void> {
  const args = ['manifest', 'push', '--no-tty', '--media-type', push.mediaType, ...access(oras), push.to, '-']
  await run(oras, { args, item: push.to, input: push.body })
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
  if (code !== 0) throw failure(errors, item)
  return output
}

/** What went wrong with the input itself; a program that reads no further is no such thing. */
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
    const what = errnoOf(error) === 'ENOENT' ? 'the oras CLI is not here' : 'the oras CLI cannot be started'
    const likely = 'it is neither on PATH nor built by scripts/setup, or --oras names another file'
    return new AirgapError('TOOL_MISSING', what, { item: program, likely, next: howToGet, cause: error })
  }
  return fromSystemError(error, program)
}

interface Meaning {
  said: RegExp
  code: ErrorCode
  what: string
  next: string
}

/** What oras (1.2 and 1.3) and registries say → what it means; the first that fits. Digests hold any three digits: words, not numbers. */
const meanings: Meaning[] = [
  {
    said: /status code 40[13]\b|unauthorized|credential not found|(?<!permission )denied|forbidden/i,
    code: 'UNAUTHORIZED',
    what: 'the registry refuses the credentials',
    next: 'run `oras login REGISTRY` (or `docker login`) as this user, or give --registry-config FILE; the account must be allowed to push there',
  },
  {
    said: /no such host|server misbehaving/i,
    code: 'DNS_FAILED',
    what: 'the name of the registry is not known',
    next: 'check how it is spelled, and the DNS of this host',
  },
  {
    said: /gave HTTP response to HTTPS client|first record does not look like a TLS handshake/i,
    code: 'TLS_FAILED',
    what: 'the registry speaks plain HTTP',
    next: 'add --plain-http, if its network can be trusted',
  },
  {
    said: /HTTP request to an HTTPS server|HTTP request was sent to HTTPS port|malformed HTTP response/i,
    code: 'TLS_FAILED',
    what: 'the registry speaks HTTPS',
    next: 'leave --plain-http out',
  },
  {
    said: /x509:|certificate|tls:/i,
    code: 'TLS_FAILED',
    what: 'the certificate of the registry cannot be trusted',
    next: 'give the CA certificate (PEM) with --ca-file, after checking it with whoever runs the registry',
  },
  {
    said: /connection refused|no route to host|network is unreachable|i\/o timeout|deadline exceeded|connection reset|broken pipe|\bEOF\b/i,
    code: 'NETWORK',
    what: 'the registry cannot be reached',
    next: 'check that it is up and that host and port are right, then run the same command again: what is there is not copied twice',
  },
  {
    said: /status code 405|method not allowed|\bunsupported: /i,
    code: 'METHOD_NOT_ALLOWED',
    what: 'the registry is read-only',
    next: 'push into one that takes content; what `serve` offers comes straight from the bundle',
  },
  {
    said: /manifest (blob )?unknown|manifest invalid|MANIFEST_(BLOB_UNKNOWN|UNKNOWN|INVALID)|manifest references? (a|an) unknown/i,
    code: 'UNSUPPORTED',
    what: 'the registry does not take this manifest',
    next: 'look for what it said in the log of the registry',
  },
]

function failure(output: string, item: string): AirgapError {
  const said = withoutSecrets(output.trim().split('\n').slice(-3).join(' ')).slice(0, 600)
  const meaning = meanings.find(each => each.said.test(said))
  return new AirgapError(meaning?.code ?? 'UPSTREAM', meaning?.what ?? 'oras could not copy', {
    item,
    likely: said || 'oras said nothing',
    next:
      meaning?.next ??
      'check that the registry has room, then run the same command again: what is there is not copied twice',
  })
}

/** oras shows the URLs it asked for: upload addresses may be signed, and be redirected to storage with a key in the query. */
function withoutSecrets(text: string): string {
  return text.replace(/:\/\/[^/\s"@]+@/g, '://').replace(/([?&][^=\s&"]{1,100}=)[^&\s"]+/g, '$1…')
}
