import { fdatasync, ftruncate, writev } from 'node:fs'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { hashPool } from '../content/hash-pool.ts'
import { type Digest, Hasher } from '../core/digest.ts'
import { fromSystemError } from '../core/errors.ts'

/** Writes bytes of uploads into their files, and hashes them as they come. */
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
  hash: Hasher
  /** bytes that it has hashed, all from the start of the file */
  size: number
}

/** Received and not written yet; then the client has to wait, until half of it is written. */
const maxWaiting = 8 << 20 /* bytes */
/** IOV_MAX of Linux is 1,024 */
const maxPieces = 1_000
/** Hashes of uploads whose next part has not come yet; those that were left longest are dropped: then the file is read again. */
const maxIdle = 1_000
/** Threads that read files again, each started when it is needed. */
const readers = 2

const datasync = promisify(fdatasync)
const writeVector = promisify(writev)

/**
 * Bytes are hashed where they arrive: 64 KiB take 40 µs, less than passing them to a thread and waiting for its turn on a busy machine. They are
 * written in Node.js's own threads, several chunks at a time, as they are.
 */
export function uploadWriter(): UploadWriter {
  const pool = hashPool({ size: readers })
  /** hashes of uploads between two requests */
  const idle = new Map<string, Hashed>()

  function take(id: string, size: number): Hashed | undefined {
    const found = idle.get(id)
    idle.delete(id)
    if (found?.size === size) return found
    return size === 0 ? { hash: new Hasher(), size: 0 } : undefined
  }

  function keep(id: string, hashed: Hashed): void {
    idle.set(id, hashed)
    for (const oldest of idle.keys()) {
      if (idle.size <= maxIdle) return
      idle.delete(oldest)
    }
  }

  return {
    async append({ path, id, size }, body) {
      const handle = await open(path, 'r+')
      try {
        // what another process has written is hashed at the end; until then a hash has no use
        const hash = take(id, size)?.hash
        const written = await receive(body, { hash, fd: handle.fd, size })
        if (hash !== undefined) keep(id, { hash, size: written.size })
        return written
      } catch (error) {
        await promisify(ftruncate)(handle.fd, size).catch(() => {})
        throw fromSystemError(error, path)
      } finally {
        await handle.close()
      }
    },
    async finish({ path, id, size }) {
      const hashed = take(id, size)
      try {
        const handle = await open(path, 'r+')
        try {
          const digest =
            hashed?.hash.digest() ??
            (await pool.hash([{ fd: handle.fd, start: 0, end: size }], { item: path }))
          await datasync(handle.fd)
          return digest
        } finally {
          await handle.close()
        }
      } catch (error) {
        throw fromSystemError(error, path)
      }
    },
    forget: id => void idle.delete(id),
    close: () => pool.close(),
  }
}

async function receive(
  body: AsyncIterable<Uint8Array>,
  { hash, fd, size }: { hash: Hasher | undefined; fd: number; size: number },
): Promise<Appended> {
  const file = fileWriter(fd, size)
  const chunks = body[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await chunks.next().catch(error => ({ cut: error ?? new Error('the body broke off') }))
      if ('cut' in next || next.done) {
        const written = await file.end()
        return 'cut' in next ? { size: written, cut: next.cut } : { size: written }
      }
      hash?.update(next.value)
      await file.add(next.value)
    }
  } finally {
    // of a body that is not read to its end: nobody else could read on
    await chunks.return?.()
    // the descriptor is closed next, and may be another file then
    await file.end().catch(() => {})
  }
}

interface FileWriter {
  /** Writes the bytes soon; waits where too many are waiting. Throws what a write has thrown. */
  add(bytes: Uint8Array): Promise<void>
  /** Waits for all writes; returns the size of the file. Throws what a write has thrown. */
  end(): Promise<number>
}

/** Appends to a file while more is received: what came during one write is the next. */
function fileWriter(fd: number, start: number): FileWriter {
  const waiting: Uint8Array[] = []
  let waitingBytes = 0
  let position = start
  let writing: Promise<void> | undefined
  let failed: { error: unknown } | undefined
  let hasRoom: PromiseWithResolvers<void> | undefined

  async function write(): Promise<void> {
    try {
      while (waiting.length > 0) {
        const pieces = waiting.splice(0, maxPieces)
        await writeAll(fd, pieces, position)
        const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
        waitingBytes -= bytes
        position += bytes
        if (waitingBytes <= maxWaiting / 2) hasRoom?.resolve()
      }
    } catch (error) {
      failed = { error }
    } finally {
      writing = undefined
      hasRoom?.resolve()
    }
  }

  function refuseFailed(): void {
    if (failed !== undefined) throw failed.error
  }

  return {
    async add(bytes) {
      refuseFailed()
      waiting.push(bytes)
      waitingBytes += bytes.length
      writing ??= write()
      if (waitingBytes <= maxWaiting) return
      hasRoom = Promise.withResolvers()
      await hasRoom.promise
    },
    async end() {
      await writing
      refuseFailed()
      return position
    },
  }
}

/** A file takes a part of what it is given only where the disk becomes full: then the next write fails. */
async function writeAll(fd: number, pieces: readonly Uint8Array[], position: number): Promise<void> {
  let rest = pieces
  let at = position
  while (rest.length > 0) {
    const { bytesWritten } = await writeVector(fd, rest, at)
    at += bytesWritten
    let left = bytesWritten
    rest = rest.flatMap(piece => {
      const taken = Math.min(left, piece.length)
      left -= taken
      return taken === piece.length ? [] : [piece.subarray(taken)]
    })
  }
}
