import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { printableLine } from '../core/printable.ts'
import { endMarked, markProgram } from './orphan-process.ts'
import { takeLines } from './output-lines.ts'

/** A program that a step runs: ansible, helmfile, pip. It runs without a shell; its output goes into a log. */
export interface StepProgram {
  command: readonly [string, ...string[]]
  cwd: string
  /** its whole environment, without anything of the operator's */
  env: Record<string, string>
  /** appended to; mode 0600 */
  log: string
  /** records the running program, so that the next run can end what a killed one left behind */
  running: string
  /** the program is ended after this time without output; 0: never */
  silenceMs: number
  /** called with each line of its output, made printable */
  onLine?: (line: string) => void
  signal: AbortSignal
}

export interface ProgramEnd {
  /** exit code, or the signal that ended it */
  status: number | NodeJS.Signals
  /** the last lines of its output */
  tail: string[]
}

const keptLines = 40
const maxLine = 4 << 20 /* characters */
/** A whole run of kubespray on hundreds of machines prints less. */
const maxLog = 512 << 20 /* bytes */
const drainMs = 2_000

/**
 * Runs the program to its end, in a process group of its own; when the run is stopped, everything that it started is ended.
 * Throws TOOL_MISSING if it cannot be started, STEP_FAILED if it prints nothing for too long.
 */
export async function runStepProgram(program: StepProgram): Promise<ProgramEnd> {
  const { command, cwd, env, log, running, signal, onLine } = program
  signal.throwIfAborted()
  await endMarked(running)
  await mkdir(dirname(log), { recursive: true, mode: 0o700 })
  const output = createWriteStream(log, { flags: 'a', mode: 0o600 })
  // reported when the program has ended; a full disk must not crash this one
  let logError: unknown
  output.on('error', error => {
    logError ??= error
  })
  const [name, ...args] = command
  output.write(`\n$ ${command.join(' ')}\n`)
  const written = boundedLog(output)
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
    takeLines(stream, {
      maxLine,
      take(raw) {
        heard = performance.now()
        // not shortened for the log and for `onLine`: ansible prints everything about a machine in one line
        const line = printableLine(raw, maxLine)
        written.write(line)
        tail.push(line.slice(0, 4_000))
        if (tail.length > keptLines) tail.shift()
        onLine?.(line)
      },
    })
  }
  const ended = endOf(child, name)
  let silent = false
  // the processes that it started hold its output open: all of them have to end
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
    if (silent) throw silentTooLong(program, tail)
    if (logError !== undefined) throw fromSystemError(logError, log)
    return { status, tail }
  } finally {
    clearInterval(watch)
    signal.removeEventListener('abort', stop)
    await endMarked(running)
    await new Promise<void>(done => output.end(() => done()))
  }
}

/** A machine whose output has no end must not fill the disk of this host. */
function boundedLog(output: WriteStream): { write(line: string): void } {
  let size = 0
  return {
    write(line) {
      if (size > maxLog) return
      size += Buffer.byteLength(line) + 1
      output.write(size > maxLog ? `… more than ${maxLog >> 20} MiB: the rest is not kept\n` : `${line}\n`)
    },
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
          likely: errno === 'ENOENT' ? 'it was removed' : 'it is for another architecture',
          next: 'run the control-host step again: `offline-deploy apply --from control-host`',
          cause: error,
        }),
      )
    })
    child.once('exit', (code, signal) => {
      const end = () => resolve(code ?? signal ?? 'SIGKILL')
      // the last lines may still come; a process that it left behind may hold its output open for ever
      const timer = setTimeout(end, drainMs)
      child.once('close', () => {
        clearTimeout(timer)
        end()
      })
    })
  })
}

function silentTooLong({ command, silenceMs, log }: StepProgram, tail: readonly string[]): AirgapError {
  return new AirgapError(
    'STEP_FAILED',
    `the program printed nothing for ${Math.round(silenceMs / 60_000)} minutes`,
    {
      item: command[0],
      likely: tail.at(-1)?.slice(0, 300) ?? 'it waits for something that does not happen',
      next: `read ${log}, correct the cause and run the same command again; --silence allows more time`,
    },
  )
}
