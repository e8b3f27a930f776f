import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { withoutSecrets } from '../../core/environment.ts'
import { AirgapError, errnoOf } from '../../core/errors.ts'
import type { FetchPlace } from './fetch-place.ts'

/** A transfer without progress for so long is ended: a server that accepts a connection and never answers would block the lock. */
const silenceMs = 5 * 60_000
const keptErrors = 64_000 /* characters */

export interface GitRun {
  args: readonly string[]
  /** a bare repository; absent for `ls-remote` and `init` */
  repository?: string
  /** talks to another host: ended where it makes no progress. `file` also allows addresses with file:// */
  network?: 'remote' | 'file'
  /** whether git follows redirects of the first request; default: refused (fetch-place.ts follows them) */
  redirects?: FetchPlace['redirects']
  /** settings and variables of pinned-address.ts */
  pinned?: { settings: readonly string[]; environment: NodeJS.ProcessEnv }
  signal: AbortSignal
}

/** A command that ended with an error; `stderr` is what git said, without progress. */
export class GitError extends Error {
  override readonly name = 'GitError'
  readonly stderr: string
  constructor(stderr: string) {
    super(stderr)
    this.stderr = stderr
  }
}

/** Runs git and returns its output (at most `maxBytes`). Throws GitError, TOOL_MISSING. */
export async function gitOutput(run: GitRun, maxBytes = 64 << 20): Promise<Buffer> {
  const git = startGit(run)
  git.stdin.end()
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of git.stdout as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxBytes) throw new GitError(`the output is larger than ${maxBytes} bytes`)
      chunks.push(chunk)
    }
  } catch (error) {
    git.stop()
    await git.ended.catch(() => {})
    throw error
  }
  await git.ended
  return Buffer.concat(chunks, size)
}

export interface RunningGit {
  stdin: Writable
  stdout: Readable
  /** resolves once git has ended without an error. Throws GitError, TOOL_MISSING */
  ended: Promise<void>
  stop(): void
}

/**
 * Starts git in a session of its own: without a terminal neither git nor ssh can prompt, and all that it starts can be stopped
 * together. Settings of the user apply (credential helpers, proxies, certificates), but none that runs a program on the repository.
 */
export function startGit({ args, repository, network, redirects, pinned, signal }: GitRun): RunningGit {
  signal.throwIfAborted()
  const settings = [
    'core.hooksPath=/dev/null',
    'core.fsmonitor=false',
    'gc.auto=0',
    'maintenance.auto=false',
    'fetch.recurseSubmodules=false',
    'fetch.writeCommitGraph=false',
    // objects with broken or hostile content never become part of the repository
    'fetch.fsckObjects=true',
    ...['hasDot', 'hasDotdot', 'hasDotgit', 'fullPathname', 'nullSha1'].map(id => `fetch.fsck.${id}=error`),
    // a server that stops sending; ssh is watched by silence
    `http.followRedirects=${redirects === 'followed' ? 'initial' : 'false'}`,
    'http.lowSpeedLimit=1',
    'http.lowSpeedTime=120',
    ...(pinned?.settings ?? []),
  ]
  const child = spawn(
    'git',
    [
      ...settings.flatMap(setting => ['-c', setting]),
      ...(repository === undefined ? [] : [`--git-dir=${repository}`]),
      ...args,
    ],
    {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...environment(network === 'file'), ...pinned?.environment },
    },
  )
  const stop = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // it has ended in the meantime
    }
  }
  signal.addEventListener('abort', stop, { once: true })
  const ended = endOf(child, network === undefined ? undefined : stop)
    .catch(error => {
      signal.throwIfAborted()
      throw error
    })
    .finally(() => signal.removeEventListener('abort', stop))
  // the caller reads the output first, and waits then
  ended.catch(() => {})
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    ended,
    stop,
  }
}

/** `stop` is called once git has been silent for too long. */
async function endOf(
  child: ChildProcessByStdio<Writable, Readable, Readable>,
  stop: (() => void) | undefined,
): Promise<void> {
  let errors = ''
  let heard = performance.now()
  let silent = false
  child.stderr.on('data', chunk => {
    heard = performance.now()
    errors = (errors + chunk).slice(-keptErrors)
  })
  // git that ends early closes its input: its exit code says why
  child.stdin.on('error', () => {})
  const watch = setInterval(() => {
    if (stop === undefined || performance.now() - heard < silenceMs) return
    silent = true
    stop()
  }, 5_000)
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', error => reject(notStarted(error)))
      child.once('close', resolve)
    })
    if (silent)
      throw new GitError(`git was silent for ${silenceMs / 60_000} minutes: the operation timed out`)
    if (code !== 0) throw new GitError(withoutProgress(errors) || `git ended with ${code ?? 'a signal'}`)
  } finally {
    clearInterval(watch)
  }
}

/** Lines that git redraws end with a carriage return. */
function withoutProgress(text: string): string {
  return text
    .split('\n')
    .map(line => line.slice(line.lastIndexOf('\r') + 1))
    .filter(
      line => !/^(?:remote: )?(?:Enumerating|Counting|Compressing|Receiving|Resolving|Total)\b/.test(line),
    )
    .join('\n')
    .trim()
}

/** Variables that lead git to another repository, trace credentials into a file, or replace what is read. */
const removed =
  /^GIT_(?:DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|NAMESPACE|SHALLOW_FILE|GRAFT_FILE|REPLACE_REF_BASE|QUARANTINE_PATH|TEMPLATE_DIR|PREFIX|EXTERNAL_DIFF|CURL_VERBOSE|PROTOCOL|DEFAULT_REF_FORMAT|TRACE.*|TRACE2.*)$/

function environment(allowsFiles: boolean): NodeJS.ProcessEnv {
  const own = Object.entries(withoutSecrets(process.env)).filter(([name]) => !removed.test(name))
  const env: NodeJS.ProcessEnv = {
    ...Object.fromEntries(own),
    LC_ALL: 'C',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_DEFAULT_HASH: 'sha1',
    // takes precedence over protocol.*.allow of any configuration
    GIT_ALLOW_PROTOCOL: `https:http:ssh:git${allowsFiles ? ':file' : ''}`,
    // no window to ask for a password in
    SSH_ASKPASS_REQUIRE: 'never',
  }
  return env
}

function notStarted(error: Error): unknown {
  const errno = errnoOf(error)
  if (errno !== 'ENOENT' && errno !== 'EACCES') return error
  return new AirgapError('TOOL_MISSING', 'the git program cannot be started', {
    item: 'git',
    likely: 'git is not installed, or not on PATH',
    next: 'install git (apt-get install git, dnf install git) and run the same command again',
    cause: error,
  })
}
