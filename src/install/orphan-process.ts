import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeAtomically } from '../core/atomic-file.ts'
import { errnoOf } from '../core/errors.ts'

/**
 * A program that was started by a run which is gone (killed, its terminal closed) goes on working on the machines. It is ended before
 * anything else is started: two of them at once would undo each other's work. What it started is known by a mark in its environment,
 * which children inherit, also those that left its process group.
 */

const variable = 'OFFLINE_DEPLOY_RUN'

/** Remembers that a program is about to be started; gives what has to be in its environment. */
export async function markProgram(path: string): Promise<Record<string, string>> {
  const mark = randomBytes(12).toString('hex')
  await writeAtomically(path, JSON.stringify({ mark }), 0o600)
  return { [variable]: mark }
}

/** Ends all that still runs with the mark, politely, then for good. */
export async function endMarked(path: string): Promise<number> {
  const mark = await markAt(path)
  const found = mark === undefined ? [] : await marked(mark)
  for (const [name, waitMs] of [
    ['SIGTERM', 10_000],
    ['SIGKILL', 5_000],
  ] as const) {
    for (const pid of mark === undefined ? [] : await marked(mark)) send(pid, name)
    for (let waited = 0; waited < waitMs && mark !== undefined; waited += 50) {
      if ((await marked(mark)).length === 0) break
      await sleep(50)
    }
  }
  await rm(path, { force: true })
  return found.length
}

async function markAt(path: string): Promise<string | undefined> {
  try {
    const { mark } = JSON.parse(await readFile(path, 'utf8'))
    return typeof mark === 'string' && /^[0-9a-f]{24}$/.test(mark) ? mark : undefined
  } catch {
    return undefined
  }
}

/** proc(5), environ: as it was when the program was started; empty for one that only waits to be reaped. */
async function marked(mark: string): Promise<number[]> {
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
