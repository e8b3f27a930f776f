import { spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { printableLine } from '../core/printable.ts'

const maxStderr = 2_000 /* characters */

/** Runs a program and streams its output into a file; returns the end of its errors as one line. */
export async function saveOutput(
  command: readonly string[],
  options: { to: Writable; env: Record<string, string>; signal: AbortSignal },
): Promise<{ status: number | null; stderr: string; bytes: number }> {
  const [program = '', ...args] = command
  const { to, env, signal } = options
  const child = spawn(program, args, { env, signal, stdio: ['ignore', 'pipe', 'pipe'] })
  let stderr = ''
  let bytes = 0
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-maxStderr)
  })
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [status] = await Promise.all([ended, pipeline(child.stdout, to)])
  return {
    status,
    stderr: printableLine(stderr, maxStderr).trim(),
    bytes,
  }
}
