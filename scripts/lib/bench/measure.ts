import { spawn } from 'node:child_process'
import { AirgapError } from '../../../src/core/errors.ts'
import { withSbin } from '../run.ts'
import { descendantsPeak } from './process-tree.ts'

export interface Measured {
  seconds: number
  /** user and system, with all of the program's own children */
  cpuSeconds: number
  /** peak resident memory of the program and its children, bytes */
  memory: number
  stdout: string
}

/** bash's keyword measures the CPU time of a program and its children, which Node does not return */
const timed = 'TIMEFORMAT="%U %S"; { time "$@" 2>&4; } 4>&2 2>&3'

/** Runs a program to its end. VmHWM is a high-water mark, so that slow polling still sees the peak. Throws STEP_FAILED. */
export async function measure(
  command: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Measured> {
  const started = performance.now()
  const child = spawn('bash', ['-c', timed, 'bash', ...command], {
    cwd: options.cwd,
    env: { ...withSbin(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const output = ['', '', '']
  for (const at of [1, 2, 3]) {
    child.stdio[at]?.on('data', chunk => {
      output[at - 1] = at === 2 ? (output[at - 1] + chunk).slice(-4000) : output[at - 1] + chunk
    })
  }
  const { pid } = child
  let memory = 0
  const poll = setInterval(() => {
    if (pid !== undefined) memory = Math.max(memory, descendantsPeak(pid))
  }, 25)
  const code = await new Promise<number | null>(done => {
    child.once('error', () => done(null))
    child.once('close', done)
  })
  clearInterval(poll)
  const seconds = (performance.now() - started) / 1000
  const [stdout = '', stderr = '', times = ''] = output
  const [user, system] = times.trim().split(' ').map(Number)
  if (code === 0) return { seconds, cpuSeconds: (user ?? 0) + (system ?? 0), memory, stdout }
  throw new AirgapError('STEP_FAILED', `a program ended with ${code}:\n${stderr.trim()}`, {
    item: command.join(' ').slice(0, 1000),
    likely: 'it is not installed, or it failed as printed above',
    next: 'run ./scripts/setup --with-clients --with-peers, then run the benchmark again',
  })
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
