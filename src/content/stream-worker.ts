import type { Extent, Place } from './hash-worker.ts'

/** What a thread is asked for, for the stream with this id. */
export type StreamRequest = { id: number } & (
  | { read: Extent }
  | { bytes: Uint8Array<SharedArrayBuffer>; to: Place }
  | { end: 'digest' | 'drop' }
)

/** One answer to each request, in order. */
export type StreamAnswer = { done: true } | { digest: string } | { code: string; message: string }

/** The program of a thread of hash streams; like that of the hash pool, it may use nothing from outside of itself. */
export function streamWorker(): void {
  const { parentPort } = process.getBuiltinModule('node:worker_threads')
  const { createHash } = process.getBuiltinModule('node:crypto')
  const { readSync, writeSync } = process.getBuiltinModule('node:fs')
  // so much stays in a core's own cache until it is hashed and written
  const step = 256 << 10 /* bytes */
  const buffer = Buffer.allocUnsafeSlow(step)
  const hashes = new Map<number, ReturnType<typeof createHash>>()

  function hashOf(id: number): ReturnType<typeof createHash> {
    const known = hashes.get(id)
    if (known !== undefined) return known
    const created = createHash('sha256')
    hashes.set(id, created)
    return created
  }

  function answerTo(request: StreamRequest): StreamAnswer {
    const sha256 = hashOf(request.id)
    if ('end' in request) {
      hashes.delete(request.id)
      return request.end === 'drop' ? { done: true } : { digest: sha256.digest('hex') }
    }
    if ('read' in request) {
      const { fd, start, end } = request.read
      for (let position = start; position < end; ) {
        const bytesRead = readSync(fd, buffer, 0, Math.min(step, end - position), position)
        if (bytesRead === 0) return { code: 'ENDED', message: 'the file ended' }
        sha256.update(buffer.subarray(0, bytesRead))
        position += bytesRead
      }
      return { done: true }
    }
    const { bytes, to } = request
    for (let done = 0; done < bytes.length; ) {
      const end = Math.min(bytes.length, done + step)
      sha256.update(bytes.subarray(done, end))
      while (done < end) done += writeSync(to.fd, bytes, done, end - done, to.start + done)
    }
    return { done: true }
  }

  parentPort?.on('message', (request: StreamRequest) => {
    try {
      parentPort.postMessage(answerTo(request))
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      parentPort.postMessage({ code: code ?? 'EIO', message } satisfies StreamAnswer)
    }
  })
}
