import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeAtomically } from '../core/atomic-file.ts'
import { errnoOf } from '../core/errors.ts'

/**
 * A program that outlives the run which started it (the run was killed, its terminal closed) keeps working on the machines. It is
 * ended before anything else is started: two of them at once would undo each other's work. It is recognized by a mark in its
 * environment, which children inherit, also those that leave its process group.
 */

const variable = 'OFFLINE_DEPLOY_RUN'

/** Records in `path` that a program is about to be started. Returns what must be in its environment. */
export async function markProgram(path: string): Promise<Record<string, string>> {
  const mark = randomBytes(12).toString('hex')
  await writeAtomically(path, JSON.stringify({ mark }), 0o600)
  return { [variable]: mark }
}

const attempts = [
  { signal: 'SIGTERM', waitMs: 10_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const

/** Ends every process with the mark recorded in `path`: with SIGTERM, then with SIGKILL. Returns how many there were. */
export async function endMarked(path: string): Promise<number> {
  const mark = await readMark(path)
  const found = mark === undefined ? [] : await processesWith(mark)
  let left = found
  for (const { signal, waitMs } of attempts) {
    for (const pid of left) send(pid, signal)
    // by the clock: on a loaded machine one look at /proc takes longer than a pause
    const deadline = performance.now() + waitMs
    while (mark !== undefined && left.length > 0 && performance.now() < deadline) {
      await sleep(50)
      left = await processesWith(mark)
    }
  }
  await rm(path, { force: true })
  return found.length
}

async function readMark(path: string): Promise<string | undefined> {
  try {
    const { mark } = JSON.parse(await readFile(path, 'utf8'))
    return typeof mark === 'string' && /^[0-9a-f]{24}$/.test(mark) ? mark : undefined
  } catch {
    return undefined
  }
}

/** proc(5), environ: as it was when the program was started; empty for one that waits to be reaped. */
async function processesWith(mark: string): Promise<number[]> {
  const wanted = `${variable}=${mark}`
  const pids = (await readdir('/proc').catch(() => [])).filter(name => /^\d+$/.test(name))
  const found = await Promise.all(
    pids.map(async pid => {
      const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
      return environment.split('\0').includes(wanted) ? [Number(pid)] : []
    }),
  )
  return found.flat().filter(pid => pid !== process.pid)
}

function send(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH' && errnoOf(error) !== 'EPERM') throw error
  }
}
