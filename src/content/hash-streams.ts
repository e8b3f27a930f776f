import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type Digest, digestFromHex } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import type { Extent, Place } from './hash-worker.ts'
import { type StreamAnswer, type StreamRequest, streamWorker } from './stream-worker.ts'

/** Threads that hash and write what the main thread receives, apart from those of a hash pool: a transfer never waits for a long copy. */
export interface HashStreams {
  open(): HashStream
  /** Ends the threads, and every call with an error. */
  close(): Promise<void>
}

/** The hash of one content that arrives in parts. One call at a time. Calls throw system errors; after one, only `close` may follow. */
export interface HashStream {
  /** Hashes bytes of an open file. */
  read(extent: Extent): Promise<void>
  /** Hashes the bytes and writes them; they are in shared memory, and may change again once it resolves. */
  write(bytes: Uint8Array<SharedArrayBuffer>, to: Place): Promise<void>
  /** Returns the SHA-256 of everything and ends the stream. */
  digest(): Promise<Digest>
  close(): void
}

interface Thread {
  worker: Worker
  streams: number
  /** calls in the order of their answers */
  waiting: { resolve: (answer: StreamAnswer) => void; reject: (error: unknown) => void }[]
}

/** More threads than these have nothing to do: one hashes and writes about as much as the main thread receives. */
const maxThreads = 2

/** Each thread is started when it is needed; an idle one keeps no process alive. */
export function hashStreams(): HashStreams {
  const threads = new Set<Thread>()
  let closed = false
  let lastId = 0

  function startThread(): Thread {
    const worker = new Worker(`(${streamWorker})()`, {
      eval: true,
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
    })
    const thread: Thread = { worker, streams: 0, waiting: [] }
    worker.on('message', (answer: StreamAnswer) => {
      const call = thread.waiting.shift()
      // one that is being ended must keep the program alive until it has ended
      if (thread.waiting.length === 0 && !closed) worker.unref()
      call?.resolve(answer)
    })
    // a thread ends by itself only where it ran out of memory, or by a bug
    worker.on('error', error => lost(thread, error))
    worker.on('exit', () => lost(thread, undefined))
    worker.unref()
    threads.add(thread)
    return thread
  }

  function lost(thread: Thread, cause: unknown): void {
    threads.delete(thread)
    for (const { reject } of thread.waiting.splice(0)) reject(threadEnded(cause))
  }

  function leastBusy(): Thread {
    const [first] = [...threads].sort((a, b) => a.streams - b.streams)
    if (first === undefined) return startThread()
    return first.streams > 0 && threads.size < Math.min(maxThreads, availableParallelism())
      ? startThread()
      : first
  }

  return {
    open() {
      const thread = leastBusy()
      const id = ++lastId
      let open = true
      thread.streams++
      const end = () => {
        if (!open) return
        open = false
        thread.streams--
      }
      const call = async (request: StreamRequest): Promise<StreamAnswer> => {
        if (closed || !threads.has(thread)) throw threadEnded(undefined)
        const answer = await new Promise<StreamAnswer>((resolve, reject) => {
          thread.waiting.push({ resolve, reject })
          thread.worker.ref()
          thread.worker.postMessage(request)
        })
        if ('message' in answer) throw Object.assign(new Error(answer.message), { code: answer.code })
        return answer
      }
      return {
        async read(extent) {
          await call({ id, read: extent })
        },
        async write(bytes, to) {
          await call({ id, bytes, to })
        },
        async digest() {
          const answer = await call({ id, end: 'digest' })
          end()
          return digestFromHex('digest' in answer ? answer.digest : '')
        },
        close() {
          if (open && !closed && threads.has(thread)) call({ id, end: 'drop' }).catch(() => {})
          end()
        },
      }
    },
    async close() {
      closed = true
      await Promise.all([...threads].map(({ worker }) => worker.terminate()))
    },
  }
}

function threadEnded(cause: unknown): AirgapError {
  return new AirgapError('INTERNAL', 'a thread that hashes ended before its work was done', { cause })
}
