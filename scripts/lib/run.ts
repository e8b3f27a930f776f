import { spawn, spawnSync } from 'node:child_process'
import { defined } from '../../src/core/defined.ts'
import { AirgapError } from '../../src/core/errors.ts'

export interface RunOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** written to stdin; without it, stdin is empty */
  input?: string
  /** sends SIGTERM; what `run` gives then is still awaited to its end */
  signal?: AbortSignal | undefined
}

/** Runs a program without a shell and gives its stdout. STEP_FAILED carries the end of its stderr; TOOL_MISSING. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const [program, ...args] = command
  if (program === undefined) throw new AirgapError('INTERNAL', 'nothing to run')
  options.signal?.throwIfAborted()
  return await new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...defined({ cwd: options.cwd }),
      env: withSbin(options.env),
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    })
    const stop = () => child.kill('SIGTERM')
    options.signal?.addEventListener('abort', stop)
    let stdout = ''
    let stderr = ''
    child.stdout?.setEncoding('utf8').on('data', chunk => {
      stdout += chunk
    })
    child.stderr?.setEncoding('utf8').on('data', chunk => {
      stderr = (stderr + chunk).slice(-8000)
    })
    // a program that does not read its input to the end says so by its exit code
    child.stdin?.on('error', () => undefined).end(options.input)
    child.once('error', cause => reject(missing(program, cause)))
    child.once('close', (code, signal) => {
      options.signal?.removeEventListener('abort', stop)
      if (options.signal?.aborted) reject(options.signal.reason)
      else if (code === 0) resolve(stdout)
      else reject(failed(command, { how: String(code ?? signal), said: stderr || stdout.slice(-4000) }))
    })
  })
}

function missing(program: string, cause: unknown): AirgapError {
  return new AirgapError('TOOL_MISSING', 'a program cannot be started', {
    item: program,
    likely: 'it is not installed',
    next: 'run ./scripts/setup --with-clients --with-tools',
    cause,
  })
}

function failed(command: readonly string[], end: { how: string; said: string }): AirgapError {
  return new AirgapError('STEP_FAILED', `a program ended with ${end.how}:\n${end.said.trim()}`, {
    item: command.join(' ').slice(0, 1000),
    next: 'read what it said, above',
  })
}

/** Whether a program is on PATH (sbin included: that is where ip, iptables and runc are). */
export function has(program: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program], { env: withSbin() }).status === 0
}

/** Those of the programs that are not on PATH. */
export function missingPrograms(programs: readonly string[]): string[] {
  return programs.filter(program => !has(program))
}

export const isRoot = process.getuid?.() === 0

/** The environment with sbin on PATH, where a user's PATH does not have it. */
export function withSbin(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return { ...env, PATH: `${env['PATH'] ?? ''}:/usr/sbin:/sbin` }
}

/** Where a program of this host is. Throws STEP_FAILED where there is none. */
export async function programPath(name: string): Promise<string> {
  return (await run(['sh', '-c', 'command -v "$1"', 'sh', name], { env: withSbin() })).trim()
}
