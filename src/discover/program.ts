import { spawn } from 'node:child_process'
import { defined } from '../core/defined.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'

export interface Program {
  /** a path, or a name on PATH */
  program: string
  args: string[]
  cwd?: string
  env?: Record<string, string>
  /** advice if it is missing */
  howToGet: string
  /** characters of stdout to keep; by default only its end */
  maxStdout?: number
  signal: AbortSignal
}

/** Only the end of a stream is kept, where errors are. */
const maxKept = 256 << 10 /* characters */

/** Runs a program without a shell and without input, and waits for it. Throws TOOL_MISSING if it cannot be started. */
export async function runProgram(
  run: Program,
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const { program, args, cwd, env, signal } = run
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    ...defined({ cwd, env: env && { ...process.env, ...env } }),
  })
  const kept = { stdout: '', stderr: '' }
  const limits = { stdout: run.maxStdout ?? maxKept, stderr: maxKept }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8')
    child[stream].on('data', chunk => {
      kept[stream] = (kept[stream] + chunk).slice(-limits[stream])
    })
  }
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', error => reject(notStarted(error, run)))
    child.once('close', resolve)
  })
  signal.throwIfAborted()
  return { status, ...kept }
}

function notStarted(error: Error, { program, howToGet, signal }: Program): unknown {
  if (signal.aborted) return signal.reason
  const errno = errnoOf(error)
  if (errno === 'ENOENT' || errno === 'EACCES' || errno === 'ENOEXEC') {
    return new AirgapError('TOOL_MISSING', 'a required program is missing', {
      item: program,
      likely: 'it is not on PATH, or not executable',
      next: howToGet,
      cause: error,
    })
  }
  return fromSystemError(error, program)
}
