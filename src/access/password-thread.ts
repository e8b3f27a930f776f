import { parentPort, Worker } from 'node:worker_threads'
import { AirgapError } from '../core/errors.ts'

/** Compares passwords with hashes; bcrypt takes 70 ms of CPU time and more, so that it runs in a thread of its own, one after the other. */
export interface PasswordThread {
  matches(password: string, hash: string): Promise<boolean>
  close(): Promise<void>
}

interface Question {
  id: number
  password: string
  hash: string
}

/** The hidden command that the thread runs. */
export const passwordThreadCommand = 'password-thread'

/** The thread's own side. */
export async function runPasswordThread(): Promise<never> {
  const { default: bcrypt } = await import('bcryptjs')
  parentPort?.on('message', ({ id, password, hash }: Question) => {
    parentPort?.postMessage({ id, isMatch: matches(bcrypt.compareSync, { password, hash }) })
  })
  // it ends with `close`
  return await new Promise(() => {})
}

/** A hash that the library refuses matches no password: the thread answers the other logins. */
function matches(
  compare: (password: string, hash: string) => boolean,
  { password, hash }: Pick<Question, 'password' | 'hash'>,
): boolean {
  try {
    return compare(password, hash)
  } catch {
    return false
  }
}

/**
 * `self` is the program and arguments that start this program. The thread is started with the first password, and again where it ended; it
 * keeps no program alive.
 */
export function passwordThread(self: readonly string[]): PasswordThread {
  const waiting = new Map<number, { resolve: (isMatch: boolean) => void; reject: (error: unknown) => void }>()
  let worker: Worker | undefined
  let last = 0
  let closed = false

  function start(): Worker {
    const started = new Worker(self.at(-1)!, {
      argv: [passwordThreadCommand],
      resourceLimits: { maxOldGenerationSizeMb: 128 },
    })
    started.unref()
    started.on('message', ({ id, isMatch }: { id: number; isMatch: boolean }) => {
      waiting.get(id)?.resolve(isMatch)
      waiting.delete(id)
    })
    const lost = (cause?: unknown) => {
      if (worker === started) worker = undefined
      for (const { reject } of waiting.values())
        reject(new AirgapError('INTERNAL', 'the thread that checks passwords ended', { cause }))
      waiting.clear()
    }
    started.on('error', lost)
    started.on('exit', () => lost())
    return started
  }

  return {
    matches(password, hash) {
      return new Promise((resolve, reject) => {
        if (closed) return reject(new AirgapError('BUSY', 'the servers are stopping'))
        const id = ++last
        waiting.set(id, { resolve, reject })
        worker ??= start()
        worker.postMessage({ id, password, hash } satisfies Question)
      })
    },
    async close() {
      closed = true
      await worker?.terminate()
    },
  }
}
