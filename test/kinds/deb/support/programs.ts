import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { defined } from '../../../../src/core/defined.ts'

const execFileAsync = promisify(execFile)

/** The names of the programs that are not there; a test that needs one is skipped by that name. */
export function missing(...programs: string[]): string[] {
  return programs.filter(program => spawnSync('which', [program]).status !== 0)
}

export interface Output {
  status: number
  stdout: string
  stderr: string
}

/** Runs a program to its end; a failure is data, not an exception. */
export async function run(
  program: string,
  args: string[],
  options: { cwd?: string; env?: Record<string, string>; input?: string } = {},
): Promise<Output> {
  const child = execFileAsync(program, args, {
    ...defined({ cwd: options.cwd }),
    env: { ...process.env, LC_ALL: 'C.UTF-8', ...options.env },
    maxBuffer: 256 * 1024 * 1024,
    timeout: 60_000,
  })
  // a program that reads no input may be gone before this is written
  child.child.stdin?.once('error', () => undefined)
  child.child.stdin?.end(options.input ?? '')
  try {
    const { stdout, stderr } = await child
    return { status: 0, stdout, stderr }
  } catch (error) {
    const failed = error as { code?: unknown; stdout?: string; stderr?: string }
    const status = typeof failed.code === 'number' ? failed.code : 255
    return { status, stdout: failed.stdout ?? '', stderr: failed.stderr ?? String(error) }
  }
}

/** As `run`, for what must succeed. */
export async function must(...args: Parameters<typeof run>): Promise<string> {
  const output = await run(...args)
  if (output.status !== 0)
    throw new Error(`${args[0]} ${args[1].join(' ')}: ${output.stdout}${output.stderr}`)
  return output.stdout
}

/** Short, as gpg-agent's socket has to fit into 108 bytes. */
export async function tempFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'ag-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
