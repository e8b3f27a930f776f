import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type Digest, digestFromHex } from '../core/digest.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { fileEnded } from '../core/file-ended.ts'
import {
  type Extent,
  type HashFailure,
  type HashRequest,
  hashWorker,
  type WorkerAnswer,
} from './hash-worker.ts'

/** Worker threads that read open files and hash them: every core hashes, and the main thread reads no byte for it. */
export interface HashPool {
  /** number of threads */
  readonly size: number
  /**
   * Returns the SHA-256 of the extents, one after the other. Requests start in the order in which they were made. Throws IO (also where a
   * file ends before the end of an extent), and the reason of `signal`: a thread notices it within 1 MiB.
   */
  hash(extents: readonly Extent[], options?: HashOptions): Promise<Digest>
  /** Ends the threads, and every request with an error. */
  close(): Promise<void>
}

export interface HashOptions {
  signal?: AbortSignal
  /** called with the number of bytes read since the last call, at least every 16 MiB and at the end */
  advance?: (bytes: number) => void
  /** for messages: the path of the file */
  item?: string
}

interface Job {
  request: HashRequest
  options: HashOptions
  resolve: (digest: Digest) => void
  reject: (error: unknown) => void
  /** stops listening to the signal */
  forget: () => void
}

interface Thread {
  worker: Worker
  job: Job | undefined
}

/** Creates a pool of at most `size` threads (default: one per core); each is started when it is needed, and an idle one keeps no process alive. */
export function hashPool({ size = availableParallelism() }: { size?: number } = {}): HashPool {
  const waiting: Job[] = []
  const threads = new Set<Thread>()
  let closed = false

  function startThread(): Thread {
    const thread: Thread = { worker: new Worker(`(${hashWorker})()`, { eval: true }), job: undefined }
    thread.worker.on('message', (answer: WorkerAnswer) => answered(thread, answer))
    // a thread ends by itself only where it ran out of memory, or by a bug
    thread.worker.on('error', error => lost(thread, error))
    thread.worker.on('exit', () => lost(thread, undefined))
    threads.add(thread)
    return thread
  }

  function answered(thread: Thread, answer: WorkerAnswer): void {
    const { job } = thread
    if (job === undefined) return
    if ('read' in answer) {
      job.options.advance?.(answer.read)
      return
    }
    thread.job = undefined
    thread.worker.unref()
    settle(job, answer)
    next()
  }

  function settle(job: Job, answer: { digest: string } | HashFailure): void {
    job.forget()
    if ('digest' in answer) job.resolve(digestFromHex(answer.digest))
    else job.reject(reasonOf(answer, job.options))
  }

  function lost(thread: Thread, cause: unknown): void {
    if (!threads.delete(thread)) return
    const { job } = thread
    job?.forget()
    job?.reject(closed ? closedError() : new AirgapError('INTERNAL', 'a thread that hashes ended', { cause }))
    next()
  }

  function next(): void {
    for (let job = waiting[0]; job !== undefined; job = waiting[0]) {
      const idle = [...threads].find(thread => thread.job === undefined)
      if (idle === undefined && threads.size >= size) return
      waiting.shift()
      const thread = idle ?? startThread()
      thread.job = job
      thread.worker.ref()
      thread.worker.postMessage(job.request)
    }
  }

  function abort(job: Job): void {
    Atomics.store(job.request.stop, 0, 1)
    const at = waiting.indexOf(job)
    if (at < 0) return
    waiting.splice(at, 1)
    job.forget()
    job.reject(job.options.signal?.reason)
  }

  return {
    size,
    hash(extents, options = {}) {
      return new Promise((resolve, reject) => {
        const { signal } = options
        if (closed) return reject(closedError())
        if (signal?.aborted) return reject(signal.reason)
        const stop = new Int32Array(new SharedArrayBuffer(4))
        const onAbort = () => abort(job)
        const job: Job = {
          request: { extents, stop },
          options,
          resolve,
          reject,
          forget: () => signal?.removeEventListener('abort', onAbort),
        }
        signal?.addEventListener('abort', onAbort, { once: true })
        waiting.push(job)
        next()
      })
    },
    async close() {
      closed = true
      for (const job of waiting.splice(0)) {
        job.forget()
        job.reject(closedError())
      }
      await Promise.all([...threads].map(({ worker }) => worker.terminate()))
    },
  }
}

function reasonOf(answer: HashFailure, { signal, item = 'the file' }: HashOptions): unknown {
  if (signal?.aborted) return signal.reason
  if ('endedAt' in answer) return fileEnded(item, answer.endedAt)
  const { code, message } = answer
  return fromSystemError(Object.assign(new Error(message), { code }), item)
}

function closedError(): AirgapError {
  return new AirgapError('INTERNAL', 'the threads that hash were ended before the work was done')
}
