import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, open, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { withoutSecrets } from '../core/environment.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { lockHolder } from '../core/process-lock.ts'

const maxLogSize = 10 << 20 /* bytes */
/** What is read of a log to explain a failure. */
const tailSize = 8 << 10 /* bytes */

export interface Background {
  pid: number
  /** exit code or signal once it has ended */
  ended(): string | undefined
}

/**
 * Starts a program that outlives this one: its own session, no terminal, output into a log. Throws STEP_FAILED where it cannot be
 * started at all.
 */
export async function startBackground(
  command: readonly string[],
  { log }: { log: string },
): Promise<Background> {
  const [program = '', ...args] = command
  const output = await openLog(log)
  let child: ChildProcess
  try {
    // the folder of whoever called must not be kept busy
    child = spawn(program, args, {
      ...{ detached: true, cwd: '/', env: withoutSecrets(process.env) },
      stdio: ['ignore', output.fd, output.fd],
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
  } catch (error) {
    throw new AirgapError('STEP_FAILED', 'the program cannot be started', {
      item: program,
      likely: errnoOf(error) === 'ENOENT' ? 'it is not there any more' : 'it may not be run here',
      next: 'unpack the bundle’s offline-deploy folder again',
      cause: error,
    })
  } finally {
    await output.close()
  }
  child.unref()
  return { pid: child.pid ?? 0, ended: () => endOf(child) }
}

/** Asked of the process itself: one that ends at once does so before anybody could listen for it. */
function endOf({ exitCode, signalCode }: ChildProcess): string | undefined {
  if (signalCode !== null) return signalCode
  return exitCode === null ? undefined : `exit code ${exitCode}`
}

async function openLog(path: string) {
  try {
    await mkdir(dirname(path), { recursive: true })
    const size = await stat(path).then(
      found => found.size,
      () => 0,
    )
    if (size > maxLogSize) await rename(path, `${path}.1`)
    return await open(path, 'a', 0o600)
  } catch (error) {
    throw fromSystemError(error, path)
  }
}

/** The end of a log, from `start` on where that is later. */
export async function logTail(path: string, start = 0): Promise<string> {
  const handle = await open(path, 'r').catch(() => undefined)
  if (handle === undefined) return ''
  try {
    const { size } = await handle.stat()
    const from = Math.max(Math.min(start, size), size - tailSize)
    const bytes = Buffer.alloc(size - from)
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, from)
    return bytes.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

export async function logSize(path: string): Promise<number> {
  return await stat(path).then(
    found => found.size,
    () => 0,
  )
}

/**
 * Ends the process that holds the lock: politely, then for good. Never one that only has the same number: the lock knows when
 * its holder was started.
 */
export async function stopHolder(
  lock: string,
  options: { signal: AbortSignal; politeMs?: number },
): Promise<'stopped' | 'not running'> {
  const pid = await lockHolder(lock)
  if (pid === undefined) return 'not running'
  const { signal, politeMs = 12_000 } = options
  for (const [name, waitMs] of [
    ['SIGTERM', politeMs],
    ['SIGKILL', 5_000],
  ] as const) {
    if ((await lockHolder(lock)) !== pid) return 'stopped'
    send(pid, name)
    for (let waited = 0; waited < waitMs; waited += 50) {
      await sleep(50, undefined, { signal })
      if ((await lockHolder(lock)) !== pid) return 'stopped'
    }
  }
  throw new AirgapError('STEP_FAILED', `process ${pid} does not end`, {
    item: lock,
    likely: 'it waits for a disk that does not answer',
    next: `look at it with ps, end it, then run the same command again`,
  })
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return
    throw new AirgapError('PERMISSION', `process ${pid} cannot be stopped`, {
      likely: 'another user started it',
      next: 'run as that user, or as root',
      cause: error,
    })
  }
}
