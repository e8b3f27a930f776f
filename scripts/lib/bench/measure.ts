import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { defined } from '../../../src/core/defined.ts'
import { AirgapError } from '../../../src/core/errors.ts'
import { withSbin } from '../run.ts'

export interface Measured {
  seconds: number
  /** peak resident memory, bytes */
  memory: number
  stdout: string
}

/** Runs a program to its end. VmHWM is a high-water mark, so that slow polling still sees the peak. Throws STEP_FAILED. */
export async function measure(
  command: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; started?: (child: ChildProcess) => void } = {},
): Promise<Measured> {
  const started = performance.now()
  const child = spawn(command[0]!, command.slice(1), {
    ...defined({ cwd: options.cwd }),
    env: { ...withSbin(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  options.started?.(child)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', chunk => {
    stdout += chunk
  })
  child.stderr.on('data', chunk => {
    stderr = (stderr + chunk).slice(-4000)
  })
  let memory = 0
  const poll = setInterval(() => {
    memory = Math.max(memory, peakMemory(child.pid))
  }, 20)
  const code = await new Promise<number | null>(done => {
    child.once('error', () => done(null))
    child.once('close', done)
  })
  clearInterval(poll)
  const seconds = (performance.now() - started) / 1000
  if (code === 0) return { seconds, memory, stdout }
  throw new AirgapError('STEP_FAILED', `a program ended with ${code}:\n${stderr.trim()}`, {
    item: command.join(' ').slice(0, 1000),
    likely: 'it is not installed, or it failed as printed above',
    next: 'run ./scripts/setup --with-clients, then run the benchmark again',
  })
}

/** Peak resident memory in bytes; 0 where the process has ended. */
export function peakMemory(pid: number | undefined): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/VmHWM:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
