/** Bytes of an open file. */
export interface Extent {
  /** a descriptor of this process, open for reading until the hash is ready */
  fd: number
  /** first byte */
  start: number
  /** byte after the last one */
  end: number
}

/** What a thread is asked for. */
export interface HashRequest {
  extents: readonly Extent[]
  /** shared memory: 1 once nobody waits for the hash any more */
  stop: Int32Array<SharedArrayBuffer>
}

/** What a thread answers: bytes read since its last message, and at last one of the others. */
export type WorkerAnswer = { read: number } | { digest: string } | HashFailure

/** The file ended before the end of an extent, or the system failed. */
export type HashFailure = { endedAt: number } | { code: string; message: string }

/**
 * The program of a thread of the hash pool. Its text is what the thread runs, so that a program stays one file: it may use nothing from
 * outside of itself.
 */
export function hashWorker(): void {
  const { parentPort } = process.getBuiltinModule('node:worker_threads')
  const { createHash } = process.getBuiltinModule('node:crypto')
  const { readSync } = process.getBuiltinModule('node:fs')
  const buffer = Buffer.allocUnsafeSlow(1 << 20)
  const reportEvery = 16 << 20 /* bytes */

  function answer(message: WorkerAnswer): void {
    parentPort?.postMessage(message)
  }

  function hash({ extents, stop }: HashRequest): WorkerAnswer {
    const sha256 = createHash('sha256')
    let unreported = 0
    for (const { fd, start, end } of extents) {
      for (let position = start; position < end; ) {
        if (Atomics.load(stop, 0) === 1) return { code: 'ECANCELED', message: 'cancelled' }
        const length = Math.min(buffer.length, end - position)
        const bytesRead = readSync(fd, buffer, 0, length, position)
        if (bytesRead === 0) return { endedAt: position }
        sha256.update(buffer.subarray(0, bytesRead))
        position += bytesRead
        unreported += bytesRead
        if (unreported < reportEvery) continue
        answer({ read: unreported })
        unreported = 0
      }
    }
    if (unreported > 0) answer({ read: unreported })
    return { digest: sha256.digest('hex') }
  }

  parentPort?.on('message', (request: HashRequest) => {
    try {
      answer(hash(request))
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      answer({ code: code ?? 'EIO', message })
    }
  })
}
