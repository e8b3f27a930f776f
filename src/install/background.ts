import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, open, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { withoutSecrets } from '../core/environment.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { type LockHolder, lockHolder } from '../core/process-lock.ts'
import { previousLog } from '../core/rotated-log.ts'

/** A log is rotated above this size. */
export const maxLogSize = 10 << 20 /* bytes */
/** The part of a log that explains a failure. */
const tailSize = 8 << 10 /* bytes */

export interface Background {
  pid: number
  /** exit code or signal once it has ended */
  ended(): string | undefined
  /** resolves once it has ended */
  exit: Promise<void>
}

/**
 * Starts a program that outlives this one: in a session of its own, without a terminal, its output in a log. Throws STEP_FAILED
 * if it cannot be started.
 */
export async function startBackground(
  command: readonly string[],
  { log }: { log: string },
): Promise<Background> {
  const [program = '', ...args] = command
  const output = await openLog(log)
  let child: ChildProcess
  let exit: Promise<void>
  try {
    child = spawn(program, args, {
      detached: true,
      // the caller's folder could not be unmounted while a process is in it
      cwd: '/',
      env: withoutSecrets(process.env),
      stdio: ['ignore', output.fd, output.fd],
    })
    exit = new Promise(resolve => child.once('exit', () => resolve()))
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
  } catch (error) {
    throw new AirgapError('STEP_FAILED', 'the program cannot be started', {
      item: program,
      likely:
        errnoOf(error) === 'ENOENT'
          ? 'it was removed'
          : 'it is not executable here (noexec, or another architecture)',
      next: 'extract the folder offline-deploy of the bundle again: tar xf BUNDLE offline-deploy',
      cause: error,
    })
  } finally {
    await output.close()
  }
  child.unref()
  return { pid: child.pid ?? 0, ended: () => endOf(child), exit }
}

/** Reads the state of the process instead of waiting for its event, which may have come before anybody listened. */
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
    if (size > maxLogSize) await rename(path, previousLog(path))
    return await open(path, 'a', 0o600)
  } catch (error) {
    throw fromSystemError(error, path)
  }
}

/** Returns the last 8 KiB of a log, but nothing before `start`. */
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
 * Ends the process that holds the lock: SIGTERM first, SIGKILL after `politeMs`. Never another process with the same id: the
 * lock records when its holder was started. Throws STEP_FAILED if it does not end, PERMISSION, BUSY where it runs in another container or on another machine.
 */
export async function stopHolder(
  lock: string,
  options: { signal: AbortSignal; politeMs?: number },
): Promise<'stopped' | 'not running'> {
  const holder = await lockHolder(lock)
  if (holder === undefined) return 'not running'
  // its number is that of another process here
  if (holder.place === 'elsewhere') throw startedElsewhere(lock, holder)
  const { pid } = holder
  const isHeld = async () => (await lockHolder(lock))?.pid === pid
  const { signal, politeMs = 12_000 } = options
  for (const [name, waitMs] of [
    ['SIGTERM', politeMs],
    ['SIGKILL', 5_000],
  ] as const) {
    if (!(await isHeld())) return 'stopped'
    send(pid, name)
    for (let waited = 0; waited < waitMs; waited += 50) {
      await sleep(50, undefined, { signal })
      if (!(await isHeld())) return 'stopped'
    }
  }
  throw new AirgapError('STEP_FAILED', `process ${pid} does not exit`, {
    item: lock,
    likely: 'it waits for a disk that does not answer',
    next: `find out what it waits for (ps -o stat,wchan ${pid}), end it, then run the same command again`,
  })
}

function startedElsewhere(lock: string, { pid, host }: LockHolder): AirgapError {
  return new AirgapError('BUSY', 'the servers run in another container or on another machine', {
    item: `${lock}: process ${pid} on ${host}`,
    likely: 'they were started there, with the same state folder',
    next: 'run `offline-deploy stop` there, then run the same command again here',
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
