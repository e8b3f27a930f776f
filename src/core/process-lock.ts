import { createHash, randomBytes } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { AirgapError, errnoOf, fromSystemError } from './errors.ts'

/** A lock held by this process. It ends with the process: the lock file of a process that died is taken over. */
export interface ProcessLock extends AsyncDisposable {
  release(): Promise<void>
}

interface Holder {
  pid: number
  /** start time of the process in clock ticks since boot (proc(5), field 22 of stat): distinguishes a reused pid */
  started: string
  boot: string
  /** makes every lock file unique */
  nonce: string
}

/**
 * Takes the lock at `path`; throws BUSY (exit 10) where a living process holds it. `what` names what it protects, for the message.
 * link(2) makes the file appear complete and fails where one exists; rename(2) replaces a stale one.
 */
export async function acquireProcessLock(path: string, what: string): Promise<ProcessLock> {
  const own = await describeSelf()
  const temporary = `${path}.${own.nonce}.tmp`
  try {
    await writeFile(temporary, JSON.stringify(own), { flag: 'wx', mode: 0o644 })
    while (!(await tryLink(temporary, path))) {
      const found = await readFile(path, 'utf8').catch(ignoreMissing)
      if (found === undefined) continue
      const holder = parseHolder(found)
      if (holder !== undefined && (await isAlive(holder))) throw busy(what, holder)
      if (await takeOver(path, { stale: found, temporary, what })) break
    }
  } catch (error) {
    throw fromSystemError(error, path)
  } finally {
    await rm(temporary, { force: true })
  }
  const release = () => releaseOwn(path, own)
  return { release, [Symbol.asyncDispose]: release }
}

/** Returns the process id of the living holder of the lock at `path`, or undefined; does not take the lock. */
export async function lockHolder(path: string): Promise<number | undefined> {
  let text: string | undefined
  try {
    text = await readFile(path, 'utf8').catch(ignoreMissing)
  } catch (error) {
    throw fromSystemError(error, path)
  }
  const holder = text === undefined ? undefined : parseHolder(text)
  return holder !== undefined && (await isAlive(holder)) ? holder.pid : undefined
}

/** Returns an id that changes with every boot of this machine; empty where the machine has none. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim()
}

async function tryLink(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

/**
 * Replaces a stale lock. Two processes may find it at the same time, so the right to replace exactly this one is itself a lock,
 * named after it; its owner checks again before replacing.
 */
async function takeOver(
  path: string,
  options: { stale: string; temporary: string; what: string },
): Promise<boolean> {
  const name = createHash('sha256').update(options.stale).digest('hex').slice(0, 16)
  const claim = await acquireProcessLock(`${path}.${name}`, options.what)
  try {
    if ((await readFile(path, 'utf8').catch(ignoreMissing)) !== options.stale) return false
    await rename(options.temporary, path)
    return true
  } finally {
    await claim.release()
  }
}

async function releaseOwn(path: string, own: Holder): Promise<void> {
  const found = await readFile(path, 'utf8').catch(ignoreMissing)
  if (found !== undefined && parseHolder(found)?.nonce === own.nonce) await rm(path, { force: true })
}

async function describeSelf(): Promise<Holder> {
  const [stat, boot] = await Promise.all([processStat(process.pid), bootId()])
  return { pid: process.pid, started: stat?.started ?? '', boot, nonce: randomBytes(8).toString('hex') }
}

async function isAlive(holder: Holder): Promise<boolean> {
  const boot = await bootId()
  if (holder.boot !== boot) return false
  const stat = await processStat(holder.pid)
  if (boot !== '') return stat !== undefined && stat.started === holder.started
  // without /proc only the pid can be checked
  try {
    process.kill(holder.pid, 0)
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

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, started, boot, nonce } = JSON.parse(text)
    if (!Number.isInteger(pid) || pid <= 0) return undefined
    return { pid, started: String(started), boot: String(boot), nonce: String(nonce) }
  } catch {
    return undefined
  }
}

function busy(what: string, holder: Holder): AirgapError {
  return new AirgapError('BUSY', `another run (process ${holder.pid}) holds the lock`, {
    item: what,
    likely: 'the same command was started twice',
    next: `wait until process ${holder.pid} has finished, then run the command again`,
  })
}

function ignoreMissing(error: unknown): undefined {
  if (errnoOf(error) === 'ENOENT') return undefined
  throw error
}
