import { spawn, spawnSync } from 'node:child_process'
import { defined } from '../../src/core/defined.ts'
import { AirgapError } from '../../src/core/errors.ts'

export interface RunOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** written to stdin; by default stdin is empty */
  input?: string
  /** sends SIGTERM when it aborts; `run` still waits for the end of the program */
  signal?: AbortSignal | undefined
}

/** Runs a program without a shell and returns its stdout. Throws STEP_FAILED with the end of its stderr, or TOOL_MISSING. */
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
    // a program that does not read all of its input (EPIPE) is judged by its exit code
    child.stdin?.on('error', () => undefined).end(options.input)
    child.once('error', cause => reject(missing(program, cause)))
    child.once('close', (code, signal) => {
      options.signal?.removeEventListener('abort', stop)
      if (options.signal?.aborted) reject(options.signal.reason)
      else if (code === 0) resolve(stdout)
      else reject(failed(command, { how: String(code ?? signal), output: stderr || stdout.slice(-4000) }))
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

function failed(command: readonly string[], end: { how: string; output: string }): AirgapError {
  return new AirgapError('STEP_FAILED', `a program ended with ${end.how}:\n${end.output.trim()}`, {
    item: command.join(' ').slice(0, 1000),
    next: 'read its output, above',
  })
}

/** True where a program is on PATH, or in the sbin folders, which have ip, iptables and runc. */
export function has(program: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program], { env: withSbin() }).status === 0
}

/** Returns the programs that are not on PATH. */
export function missingPrograms(programs: readonly string[]): string[] {
  return programs.filter(program => !has(program))
}

/** Throws TOOL_MISSING with all programs that are not on PATH. `setup` are the options of scripts/setup that install them. */
export function requirePrograms(programs: readonly string[], setup: string): void {
  const lacking = [...new Set(missingPrograms(programs))]
  if (lacking.length === 0) return
  throw new AirgapError('TOOL_MISSING', 'programs are missing', {
    item: lacking.join(', '),
    likely: 'they are not installed',
    next: `run ./scripts/setup ${setup}`,
  })
}

export const isRoot = process.getuid?.() === 0

/** Returns the environment with the sbin folders on PATH, which a user's PATH lacks. */
export function withSbin(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return { ...env, PATH: `${env['PATH'] ?? ''}:/usr/sbin:/sbin` }
}

/** Returns the path of a program of this host. Throws STEP_FAILED where there is none. */
export async function programPath(name: string): Promise<string> {
  return (await run(['sh', '-c', 'command -v "$1"', 'sh', name], { env: withSbin() })).trim()
}
