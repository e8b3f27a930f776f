import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, type FileHandle, open, readFile, readlink, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AirgapError, errnoOf, fromSystemError } from './errors.ts'
import { fileSystemOf, unreliableLocks } from './lock-file-system.ts'

/** A lock held by this process. The kernel releases it when the process ends, however it ends. */
export interface ProcessLock extends AsyncDisposable {
  release(): Promise<void>
}

/** The process that holds a lock. */
export interface LockHolder {
  pid: number
  /** `elsewhere`: in another container (pid namespace) or on another machine; the pid means nothing here */
  place: 'here' | 'elsewhere'
  /** name of the machine or container */
  host: string
}

/** What the lock file says about its holder: for messages and signals. The lock itself is the kernel's. */
interface Record {
  pid: number
  /** start time of the process in clock ticks since boot (proc(5), field 22 of stat): distinguishes a reused pid */
  started: string
  boot: string
  /** pid namespace (namespaces(7)) */
  namespace: string
  host: string
  /** makes every lock file unique */
  nonce: string
  /** absent in files of versions that had no lock of the kernel: there, the living process alone is the lock */
  kernel?: true
}

/**
 * Takes the lock at `path`; throws BUSY (exit 10) where a living process holds it. `what` names what it protects, for the message.
 *
 * It is a lock of flock(2) on an open file, taken by the program flock(1) through an inherited descriptor: Node.js has no call for it,
 * and the lock belongs to the open file, which stays open here. So it holds across containers, and across machines where the file
 * system does that, and it ends with this process. Throws PERMISSION where the file system's locks cannot be trusted, TOOL_MISSING.
 */
export async function acquireProcessLock(path: string, what: string): Promise<ProcessLock> {
  const own = await describeSelf()
  try {
    for (let attempt = 0; ; attempt++) {
      const handle = await openLockFile(path)
      try {
        if (await tryLock(handle, { path, kind: 'exclusive' })) {
          // the file that was locked may have been removed by its last holder in the meantime
          if (await isAt(handle, path)) {
            await refuseOlderHolder(handle, what)
            await write(handle, own)
            return lockOf(handle, path)
          }
        } else if (attempt >= 5) {
          throw busy(what, placed(await readRecord(path), own))
        } else {
          // perhaps lockHolder only looks
          await sleep(40)
        }
      } catch (error) {
        await handle.close()
        throw error
      }
      await handle.close()
    }
  } catch (error) {
    throw fromSystemError(error, path)
  }
}

/** Returns the living holder of the lock at `path`, or undefined; does not take the lock. */
export async function lockHolder(path: string): Promise<LockHolder | undefined> {
  try {
    const record = await readRecord(path)
    if (record === undefined) return undefined
    const own = await describeSelf()
    const holder = placed(record, own)
    if (holder?.place === 'here' && (await isAlive(record, own))) return holder
    // without the lock of the kernel the living process was all
    if (holder?.place === 'here' && !record.kernel) return undefined
    return (await isLocked(path)) ? holder : undefined
  } catch (error) {
    throw fromSystemError(error, path)
  }
}

/** Returns an id that changes with every boot of this machine; empty where the machine has none. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim()
}

/** Never through a link: root would create, lock and truncate whatever another user points it at (CWE-59). */
async function openLockFile(path: string): Promise<FileHandle> {
  try {
    return await open(
      path,
      constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK,
      0o644,
    )
  } catch (error) {
    if (errnoOf(error) !== 'ELOOP') throw error
    throw new AirgapError('PERMISSION', 'the lock file is a symbolic link', {
      item: path,
      likely: 'another user put it there',
      next: 'remove it, and keep other users from writing to its folder',
      cause: error,
    })
  }
}

/** Returns false where another open file has the lock. */
async function tryLock(
  handle: FileHandle,
  { path, kind }: { path: string; kind: 'exclusive' | 'shared' },
): Promise<boolean> {
  const system = await fileSystemOf(path)
  const why = unreliableLocks(system)
  if (why !== undefined) throw untrusted(path, `${system.type}: ${why}`)
  const child = spawn(await flockProgram(), [kind === 'exclusive' ? '-xn' : '-sn', '3'], {
    stdio: ['ignore', 'ignore', 'pipe', handle.fd],
  })
  let message = ''
  child.stderr!.on('data', part => {
    message += part
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', error => reject(noProgram(error)))
    child.once('close', resolve)
  })
  if (code === 0) return true
  // util-linux and busybox say nothing where the lock is held
  if (code === 1 && message === '') return false
  throw untrusted(path, `${system.type}: ${message.trim().slice(0, 200) || `flock ended with ${code}`}`)
}

function lockOf(handle: FileHandle, path: string): ProcessLock {
  let released: Promise<void> | undefined
  const release = () => {
    released ??= (async () => {
      try {
        if (await isAt(handle, path)) await rm(path, { force: true })
      } finally {
        await handle.close()
      }
    })()
    return released
  }
  return { release, [Symbol.asyncDispose]: release }
}

async function isAt(handle: FileHandle, path: string): Promise<boolean> {
  const [own, found] = await Promise.all([handle.stat(), stat(path).catch(ignoreMissing)])
  return found !== undefined && found.dev === own.dev && found.ino === own.ino
}

async function isLocked(path: string): Promise<boolean> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(ignoreMissing)
  if (handle === undefined) return false
  try {
    return !(await tryLock(handle, { path, kind: 'shared' }))
  } finally {
    await handle.close()
  }
}

/** A process of a version that had no lock of the kernel may still be running. */
async function refuseOlderHolder(handle: FileHandle, what: string): Promise<void> {
  const record = parseRecord(await handle.readFile('utf8'))
  if (record === undefined || record.kernel) return
  const own = await describeSelf()
  if (await isAlive(record, own)) throw busy(what, placed(record, own))
}

async function write(handle: FileHandle, record: Record): Promise<void> {
  await handle.truncate(0)
  await handle.write(JSON.stringify(record), 0)
}

async function describeSelf(): Promise<Record> {
  const [stat, boot, namespace] = await Promise.all([
    processStat(process.pid),
    bootId(),
    readlink('/proc/self/ns/pid').catch(() => ''),
  ])
  return {
    pid: process.pid,
    started: stat?.started ?? '',
    boot,
    namespace,
    host: hostname(),
    nonce: randomBytes(8).toString('hex'),
    kernel: true,
  }
}

function placed(record: Record | undefined, own: Record): LockHolder | undefined {
  if (record === undefined) return undefined
  const { pid, boot, namespace, host } = record
  const isHere = boot === own.boot && (namespace === '' || namespace === own.namespace)
  return { pid, place: isHere ? 'here' : 'elsewhere', host }
}

/** Whether a process of this boot and namespace runs. */
async function isAlive({ pid, started, boot }: Record, own: Record): Promise<boolean> {
  if (boot !== own.boot) return false
  const stat = await processStat(pid)
  if (boot !== '') return stat !== undefined && stat.started === started
  // without /proc only the pid can be checked
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errnoOf(error) === 'EPERM'
  }
}

/** Returns undefined for a process that has exited, also before its parent has reaped it (state Z or X). */
async function processStat(pid: number): Promise<{ started: string } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  // the name in parentheses may contain spaces and parentheses; the state is the first field after it
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
  const state = fields?.[0]
  const started = fields?.[19]
  if (state === undefined || started === undefined || state === 'Z' || state === 'X') return undefined
  return { started }
}

async function readRecord(path: string): Promise<Record | undefined> {
  const text = await readFile(path, 'utf8').catch(ignoreMissing)
  return text === undefined ? undefined : parseRecord(text)
}

function parseRecord(text: string): Record | undefined {
  try {
    const { pid, started, boot, namespace, host, nonce, kernel } = JSON.parse(text)
    if (!Number.isInteger(pid) || pid <= 0) return undefined
    return {
      pid,
      started: String(started),
      boot: String(boot),
      namespace: typeof namespace === 'string' ? namespace : '',
      host: typeof host === 'string' ? host.replace(/[^\w.-]/g, '?').slice(0, 64) : '',
      nonce: String(nonce),
      ...(kernel === true ? { kernel } : {}),
    }
  } catch {
    return undefined
  }
}

function busy(what: string, holder: LockHolder | undefined): AirgapError {
  if (holder?.place !== 'elsewhere') {
    const named = holder === undefined ? 'the other run' : `process ${holder.pid}`
    return new AirgapError('BUSY', `another run${holder && ` (${named})`} holds the lock`, {
      item: what,
      likely: 'the same command was started twice',
      next: `wait until ${named} has finished, then run the command again`,
    })
  }
  const where = `process ${holder.pid} on ${holder.host || 'another machine'}`
  return new AirgapError(
    'BUSY',
    `a run in another container or on another machine holds the lock (${where})`,
    {
      item: what,
      likely: 'two containers or machines use the same folder',
      next: `wait until ${where} has finished, or end it there; its lock ends with it`,
    },
  )
}

function untrusted(path: string, why: string): AirgapError {
  return new AirgapError('PERMISSION', `the locks of this file system cannot be trusted (${why})`, {
    item: path,
    likely:
      'the folder is on a network or shared file system, where two runs could change it at the same time',
    next: 'use a folder on a local disk (--site, --out); a bundle itself may stay where it is',
  })
}

/** A run with an empty or narrow PATH has locks, too. */
async function flockProgram(): Promise<string> {
  const standard = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin']
  const folders = [...(process.env['PATH'] ?? '').split(':').filter(isAbsolute), ...standard]
  for (const folder of folders) {
    const path = join(folder, 'flock')
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path
  }
  return 'flock'
}

function noProgram(cause: Error): unknown {
  if (errnoOf(cause) !== 'ENOENT' && errnoOf(cause) !== 'EACCES') return cause
  return new AirgapError('TOOL_MISSING', 'the program flock cannot be started', {
    item: 'flock',
    likely: 'a minimal container image without util-linux',
    next: 'install util-linux (apt-get install util-linux, dnf install util-linux) and run the same command again',
    cause,
  })
}

function ignoreMissing(error: unknown): undefined {
  if (errnoOf(error) === 'ENOENT') return undefined
  throw error
}
