import { fdatasync, ftruncate } from 'node:fs'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { type HashStream, type HashStreams, hashStreams } from '../content/hash-streams.ts'
import type { Digest } from '../core/digest.ts'
import { fromSystemError } from '../core/errors.ts'

/** Writes bytes of uploads into their files, in threads, and hashes them as they are written. */
export interface UploadWriter {
  /**
   * Appends the body to the file, from byte `size` on; returns how many bytes the file has then, also where the body broke off (`cut`).
   * Throws NO_SPACE, IO: then the upload is lost.
   */
  append(at: { path: string; id: string; size: number }, body: AsyncIterable<Uint8Array>): Promise<Appended>
  /** Syncs the file, and returns its digest; of bytes that another process has written, by reading them again. Forgets the upload. */
  finish(at: { path: string; id: string; size: number }): Promise<Digest>
  /** Forgets the upload. */
  forget(id: string): void
  /** Ends the threads. */
  close(): Promise<void>
}

export interface Appended {
  /** bytes */
  size: number
  /** why the body broke off: the client has disconnected */
  cut?: unknown
}

interface Hashed {
  stream: HashStream
  /** bytes that it has hashed, all from the start of the file */
  size: number
}

/** Two of them for each body that is being received: one is filled while the other one is hashed and written. */
const bufferSize = 512 << 10 /* bytes */
/** What is written is given to the disk in between, so that little is left to wait for at the end. */
const syncEvery = 64 << 20 /* bytes */
/** Hashes of uploads whose next part has not come yet; those that were left longest are dropped: then the file is read again. */
const maxIdle = 1_000

const datasync = promisify(fdatasync)

export function uploadWriter(): UploadWriter {
  const streams: HashStreams = hashStreams()
  /** hashes of uploads between two requests */
  const idle = new Map<string, Hashed>()

  function take(id: string, size: number): Hashed | undefined {
    const found = idle.get(id)
    idle.delete(id)
    if (found?.size === size) return found
    found?.stream.close()
    return size === 0 ? { stream: streams.open(), size: 0 } : undefined
  }

  function keep(id: string, hashed: Hashed): void {
    idle.set(id, hashed)
    for (const [oldest, { stream }] of idle) {
      if (idle.size <= maxIdle) return
      stream.close()
      idle.delete(oldest)
    }
  }

  return {
    async append({ path, id, size }, body) {
      const hashed = take(id, size)
      // what another process has written is hashed at the end; until then its hash has no use
      const stream = hashed?.stream ?? streams.open()
      const handle = await open(path, 'r+')
      try {
        const written = await receive(body, { stream, fd: handle.fd, size })
        if (hashed === undefined) stream.close()
        else keep(id, { stream, size: written.size })
        return written
      } catch (error) {
        stream.close()
        await promisify(ftruncate)(handle.fd, size).catch(() => {})
        throw fromSystemError(error, path)
      } finally {
        await handle.close()
      }
    },
    async finish({ path, id, size }) {
      const hashed = take(id, size)
      const stream = hashed?.stream ?? streams.open()
      const handle = await open(path, 'r+').catch(error => {
        stream.close()
        throw fromSystemError(error, path)
      })
      try {
        if (hashed === undefined) await stream.read({ fd: handle.fd, start: 0, end: size })
        const [digest] = await Promise.all([stream.digest(), datasync(handle.fd)])
        return digest
      } catch (error) {
        stream.close()
        throw fromSystemError(error, path)
      } finally {
        await handle.close()
      }
    },
    forget(id) {
      idle.get(id)?.stream.close()
      idle.delete(id)
    },
    close: () => streams.close(),
  }
}

/** Fills one buffer while the other one is hashed and written. */
async function receive(
  body: AsyncIterable<Uint8Array>,
  { stream, fd, size }: { stream: HashStream; fd: number; size: number },
): Promise<Appended> {
  // allocated when they are needed: most requests have no body, or a small one
  let filling: SharedArrayBuffer | undefined
  let spare: SharedArrayBuffer | undefined
  let filled = 0
  let position = size
  let written = Promise.resolve()
  let synced = position
  let syncing: Promise<void> | undefined

  async function flush(): Promise<void> {
    await written
    if (filled === 0) return
    const bytes = new Uint8Array(filling!, 0, filled)
    written = stream.write(bytes, { fd, start: position })
    // thrown when the next write, or the end, waits for it
    written.catch(() => {})
    position += filled
    filled = 0
    ;[filling, spare] = [spare, filling]
    if (position - synced < syncEvery || syncing !== undefined) return
    synced = position
    // a failure is found again by the sync at the end
    syncing = datasync(fd).catch(() => {})
    void syncing.then(() => {
      syncing = undefined
    })
  }

  async function add(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length; ) {
      filling ??= new SharedArrayBuffer(bufferSize)
      const part = chunk.subarray(done, done + bufferSize - filled)
      new Uint8Array(filling).set(part, filled)
      filled += part.length
      done += part.length
      if (filled === bufferSize) await flush()
    }
  }

  let cut: unknown
  const chunks = body[Symbol.asyncIterator]()
  try {
    for (;;) {
      // only the body may break off; an error of the file is thrown
      const next = await chunks.next().catch(error => {
        cut = error ?? new Error('the body broke off')
        return { done: true, value: undefined } as const
      })
      if (next.done) break
      await add(next.value)
    }
    await flush()
    await written
  } finally {
    // of a body that is not read to its end: nobody else could read on
    await chunks.return?.()
    // the descriptor is closed next, and may be another file then
    await written.catch(() => {})
    await syncing
  }
  return cut === undefined ? { size: position } : { size: position, cut }
}
