import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { printableLine } from '../core/printable.ts'
import { endMarked, markProgram } from './orphan-process.ts'

/** A program that a step runs: ansible, helmfile, pip. Its output goes into a log; no shell is in between. */
export interface StepProgram {
  command: readonly [string, ...string[]]
  cwd: string
  /** all of its environment: nothing of the operator's own leaks in */
  env: Record<string, string>
  /** appended to; mode 0600 */
  log: string
  /** where the running program is remembered, so that what a killed run left behind is ended first */
  running: string
  /** without any output for so long, it is ended; 0: never */
  silenceMs: number
  /** each line of its output, made printable */
  onLine?: (line: string) => void
  signal: AbortSignal
}

export interface ProgramEnd {
  /** exit code, or the signal that ended it */
  status: number | NodeJS.Signals
  /** last lines of its output */
  tail: string[]
}

const keptLines = 40
const maxLine = 4 << 20 /* characters */
const drainMs = 2_000

/**
 * Runs the program to its end, in a process group of its own; when the run is stopped, all that it started is ended. Throws TOOL_MISSING
 * where it cannot be started, STEP_FAILED where it says nothing for too long.
 */
export async function runStepProgram(program: StepProgram): Promise<ProgramEnd> {
  const { command, cwd, env, log, running, signal, onLine } = program
  signal.throwIfAborted()
  await endMarked(running)
  await mkdir(dirname(log), { recursive: true, mode: 0o700 })
  const output = createWriteStream(log, { flags: 'a', mode: 0o600 })
  // told by the error that a program that fails is told by; a full disk must not crash this one
  let logError: unknown
  output.on('error', error => {
    logError ??= error
  })
  const [name, ...args] = command
  output.write(`\n$ ${command.join(' ')}\n`)
  const mark = await markProgram(running)
  const child = spawn(name, args, {
    cwd,
    env: { ...env, ...mark },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const tail: string[] = []
  let heard = performance.now()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', raw => {
      heard = performance.now()
      // whole in the log and for who reads it: ansible says all that a machine said in one line
      const line = printableLine(raw, maxLine)
      output.write(`${line}\n`)
      tail.push(line.slice(0, 4_000))
      if (tail.length > keptLines) tail.shift()
      onLine?.(line)
    })
  }
  const ended = endOf(child, name)
  let silent = false
  // what it started holds its output open: all of it has to end
  const stop = () => void endMarked(running)
  const watch = setInterval(() => {
    if (program.silenceMs === 0 || performance.now() - heard < program.silenceMs) return
    silent = true
    stop()
  }, 1_000)
  signal.addEventListener('abort', stop)
  try {
    const status = await ended
    signal.throwIfAborted()
    if (silent) throw neverEnds(program, tail)
    if (logError !== undefined) throw fromSystemError(logError, log)
    return { status, tail }
  } finally {
    clearInterval(watch)
    signal.removeEventListener('abort', stop)
    await endMarked(running)
    await new Promise<void>(done => output.end(() => done()))
  }
}

async function endOf(child: ChildProcess, name: string): Promise<number | NodeJS.Signals> {
  return await new Promise((resolve, reject) => {
    child.once('error', error => {
      const errno = errnoOf(error)
      const known = errno === 'ENOENT' || errno === 'EACCES' || errno === 'ENOEXEC'
      if (!known) return reject(fromSystemError(error, name))
      return reject(
        new AirgapError('TOOL_MISSING', 'a program of this step cannot be started', {
          item: name,
          likely: errno === 'ENOENT' ? 'it is not there any more' : 'it is not made for this machine',
          next: 'run the control-host step again: `offline-deploy apply --from control-host`',
          cause: error,
        }),
      )
    })
    child.once('exit', (code, signal) => {
      const end = () => resolve(code ?? signal ?? 'SIGKILL')
      // the last lines are still on their way; a process that it left behind may hold its output open for ever
      const timer = setTimeout(end, drainMs)
      child.once('close', () => {
        clearTimeout(timer)
        end()
      })
    })
  })
}

function neverEnds({ command, silenceMs, log }: StepProgram, tail: readonly string[]): AirgapError {
  return new AirgapError(
    'STEP_FAILED',
    `the program said nothing for ${Math.round(silenceMs / 60_000)} minutes`,
    {
      item: command[0],
      likely: tail.at(-1)?.slice(0, 300) ?? 'it waits for something that never comes',
      next: `read ${log}, correct the cause and run the same command again; --silence gives it more time`,
    },
  )
}
