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
  type Piece,
  type PieceAnswer,
  type WorkerAnswer,
} from './hash-worker.ts'

/** Worker threads that read files and hash them: every core hashes, and the main thread reads no byte for it. */
export interface HashPool {
  /** number of threads */
  readonly size: number
  /**
   * Returns the SHA-256 of the extents, one after the other. Requests start in the order in which they were made. Throws IO (also where a
   * file ends before the end of an extent), and the reason of `signal`: a thread notices it within 256 KiB. A request that has ended, in
   * whatever way, reads and writes no more: only then may its descriptors be closed.
   */
  hash(extents: readonly Extent[], options?: HashOptions): Promise<Digest>
  /**
   * Hashes many pieces in one request, and writes those that have a place there. Adjacent pieces of a file are read together. Returns for
   * each its digest or why there is none: IO, NO_SPACE, SIZE_MISMATCH (a whole file of another size) and the like. Throws only the reason of `signal`.
   */
  hashEach(pieces: readonly Piece[], options?: HashEachOptions): Promise<(Digest | AirgapError)[]>
  /** Ends the threads, and every request with an error. */
  close(): Promise<void>
}

export interface HashOptions {
  signal?: AbortSignal | undefined
  /** called with the number of bytes read since the last call, at least every 16 MiB and at the end */
  advance?: (bytes: number) => void
  /** for messages: the path of the file */
  item?: string
}

export interface HashEachOptions extends HashOptions {
  /** for messages: the path of the file that the pieces are written to */
  target?: string
}

interface Job {
  request: HashRequest
  options: HashEachOptions
  resolve: (results: (Digest | AirgapError)[]) => void
  reject: (error: unknown) => void
  /** stops listening to the signal */
  forget: () => void
}

interface Thread {
  worker: Worker
  job: Job | undefined
}

/** A thread holds one buffer and the pieces of one request. */
const threadLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 }

/**
 * Creates a pool of at most `size` threads (default: one per core); each is started when it is needed, and an idle one keeps no process
 * alive. A second thread reads a file only once the first has shown that reading it takes less time than hashing: two readers at
 * different places make a spinning disk several times slower, and gain nothing on a medium that one core keeps up with.
 */
export function hashPool({ size = availableParallelism() }: { size?: number } = {}): HashPool {
  const waiting: Job[] = []
  const threads = new Set<Thread>()
  /** by descriptor: whether reading took less time than hashing, at the last report */
  const fast = new Map<number, boolean>()
  let closed = false

  function startThread(): Thread {
    const worker = new Worker(`(${hashWorker})()`, { eval: true, resourceLimits: threadLimits })
    const thread: Thread = { worker, job: undefined }
    worker.on('message', (answer: WorkerAnswer) => answered(thread, answer))
    // a thread ends by itself only where it ran out of memory, or by a bug
    worker.on('error', error => lost(thread, error))
    worker.on('exit', () => lost(thread, undefined))
    threads.add(thread)
    return thread
  }

  function answered(thread: Thread, answer: WorkerAnswer): void {
    const { job } = thread
    if (job === undefined) return
    if (typeof answer === 'object' && 'read' in answer) {
      const file = fileOf(job)
      if (file !== undefined) fast.set(file, answer.waited * 2 < answer.took)
      job.options.advance?.(answer.read)
    } else {
      thread.job = undefined
      // one that is being ended must keep the program alive until it has ended
      if (!closed) thread.worker.unref()
      job.forget()
      if (answer === 'stopped') job.reject(job.options.signal?.reason)
      else job.resolve(answer.results.map((result, i) => resultOf(result, job, i)))
    }
    next()
  }

  function lost(thread: Thread, cause: unknown): void {
    if (!threads.delete(thread)) return
    const { job } = thread
    job?.forget()
    job?.reject(closed ? closedError() : new AirgapError('INTERNAL', 'a thread that hashes ended', { cause }))
    next()
  }

  function next(): void {
    const running = new Set([...threads].map(({ job }) => job && fileOf(job)))
    for (let at = 0; at < waiting.length; ) {
      const idle = [...threads].find(thread => thread.job === undefined)
      if (idle === undefined && threads.size >= size) return
      const file = fileOf(waiting[at]!)
      if (file !== undefined && running.has(file) && !fast.get(file)) {
        at++
        continue
      }
      const [job] = waiting.splice(at, 1)
      running.add(file)
      const thread = idle ?? startThread()
      thread.job = job
      thread.worker.ref()
      thread.worker.postMessage(job!.request)
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

  function hashEach(
    pieces: readonly Piece[],
    options: HashEachOptions = {},
  ): Promise<(Digest | AirgapError)[]> {
    return new Promise((resolve, reject) => {
      const { signal } = options
      if (closed) return reject(closedError())
      if (signal?.aborted) return reject(signal.reason)
      const stop = new Int32Array(new SharedArrayBuffer(4))
      const onAbort = () => abort(job)
      const job: Job = {
        request: { pieces, stop },
        options,
        resolve,
        reject,
        forget: () => signal?.removeEventListener('abort', onAbort),
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      waiting.push(job)
      next()
    })
  }

  return {
    size,
    hashEach,
    async hash(extents, options) {
      const [result] = await hashEach([{ from: extents }], options)
      if (result instanceof AirgapError) throw result
      return result!
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

/** Returns the open file that a request reads; undefined for files that the thread opens. */
function fileOf({ request }: Job): number | undefined {
  const from = request.pieces[0]?.from
  return from === undefined || 'path' in from ? undefined : from[0]?.fd
}

function resultOf(result: PieceAnswer, { request, options }: Job, at: number): Digest | AirgapError {
  if (typeof result === 'string' && result !== 'another file') return digestFromHex(result)
  const from = request.pieces[at]!.from
  const source = 'path' in from ? from.path : (options.item ?? 'the file')
  return failureOf(result, { source, target: options.target ?? 'the file' })
}

function failureOf(
  failure: HashFailure,
  { source, target }: { source: string; target: string },
): AirgapError {
  if (failure === 'another file') {
    return new AirgapError('SIZE_MISMATCH', 'the file does not have the expected size', {
      item: source,
      likely: 'it was edited or replaced',
      next: 'run the same command again',
    })
  }
  if ('endedAt' in failure) return fileEnded(source, failure.endedAt)
  const { code, message, writing } = failure
  const item = writing ? target : source
  const cause = Object.assign(new Error(message), { code })
  const error = fromSystemError(cause, item)
  return error instanceof AirgapError ? error : new AirgapError('IO', message, { item, cause })
}

function closedError(): AirgapError {
  return new AirgapError('INTERNAL', 'the threads that hash were ended before the work was done')
}
