/** Bytes of an open file. */
export interface Extent {
  /** a descriptor of this process, open until the request has ended */
  fd: number
  /** first byte */
  start: number
  /** byte after the last one */
  end: number
}

/** Content that gets a digest of its own. */
export interface Piece {
  /** extents, one after the other; or a whole file, which the thread opens */
  from: readonly Extent[] | WholeFile
  /** where its bytes are written as they are hashed: what has the digest is what is written, whatever happens to the source meanwhile */
  to?: Place
}

/** A file that has this size when it is opened: another size is a failure, and so is anything but a regular file. */
export interface WholeFile {
  path: string
  size: number
}

export interface Place {
  fd: number
  /** of the first byte */
  start: number
}

/** What a thread is asked for. */
export interface HashRequest {
  pieces: readonly Piece[]
  /** shared memory: 1 once nobody waits for the hashes any more */
  stop: Int32Array<SharedArrayBuffer>
}

/**
 * What a thread answers: since its last message, how many bytes it read, for how long it waited for them (milliseconds) and how long
 * everything took; and at last the result of each piece, or that it was stopped.
 */
export type WorkerAnswer =
  | { read: number; waited: number; took: number }
  | { results: PieceAnswer[] }
  | 'stopped'

/** A digest in hex, or why there is none. */
export type PieceAnswer = string | HashFailure

/** The file ended before the end of an extent, is not what was requested, or the system failed. */
export type HashFailure =
  | { endedAt: number }
  | 'another file'
  | { code: string; message: string; writing: boolean }

/**
 * The program of a thread of the hash pool. Its text is what the thread runs, so that a program stays one file: it may use nothing from
 * outside of itself.
 */
export function hashWorker(): void {
  const { parentPort } = process.getBuiltinModule('node:worker_threads')
  const { createHash, hash: hashOnce } = process.getBuiltinModule('node:crypto')
  const { closeSync, constants, fstatSync, openSync, readSync, writeSync } =
    process.getBuiltinModule('node:fs')
  // what is read stays in a core's own cache until it is hashed and written: 1 MiB costs a fifth more
  const buffer = Buffer.allocUnsafeSlow(256 << 10)
  const firstReport = 4 << 20 /* bytes */
  const reportEvery = 16 << 20 /* bytes */
  /** which bytes of which file are in the buffer */
  let window = { fd: -1, start: 0, end: 0 }
  let writing = false

  function answer(message: WorkerAnswer): void {
    parentPort?.postMessage(message)
  }

  /** Counts, and reports now and then. */
  function counter(stop: HashRequest['stop']) {
    let next = firstReport
    let since = performance.now()
    let read = 0
    let waited = 0
    return {
      stopped: () => Atomics.load(stop, 0) === 1,
      count(bytes: number, ms: number): void {
        read += bytes
        waited += ms
        if (read >= next) this.report()
      },
      report(): void {
        if (read === 0) return
        const now = performance.now()
        answer({ read, waited, took: now - since })
        read = 0
        waited = 0
        since = now
        next = reportEvery
      },
    }
  }

  type Counter = ReturnType<typeof counter>

  /** Returns 1 to `end - position` bytes, none at the end of the file. Reads up to `ahead`, where the following pieces end. */
  function read(extent: Extent, { ahead, count }: { ahead: number; count: Counter['count'] }): Buffer {
    const { fd, start, end } = extent
    if (window.fd !== fd || start < window.start || start >= window.end) {
      window.fd = -1
      const before = performance.now()
      const bytesRead = readSync(fd, buffer, 0, Math.min(buffer.length, ahead - start), start)
      count(bytesRead, performance.now() - before)
      window = { fd, start, end: start + bytesRead }
    }
    return buffer.subarray(start - window.start, Math.min(end, window.end) - window.start)
  }

  function write(bytes: Buffer, { fd, start }: Place): void {
    writing = true
    for (let done = 0; done < bytes.length; )
      done += writeSync(fd, bytes, done, bytes.length - done, start + done)
    writing = false
  }

  function digest(
    extents: readonly Extent[],
    { to, ahead, counts }: { to: Place | undefined; ahead: number; counts: Counter },
  ): PieceAnswer {
    let sha256: ReturnType<typeof createHash> | undefined
    const size = extents.reduce((sum, { start, end }) => sum + end - start, 0)
    let done = 0
    for (const { fd, start, end } of extents) {
      for (let position = start; position < end; ) {
        if (counts.stopped()) throw new Error('stopped')
        const options = { ahead: Math.max(end, ahead), count: counts.count.bind(counts) }
        const bytes = read({ fd, start: position, end }, options)
        if (bytes.length === 0) return { endedAt: position }
        if (to !== undefined) write(bytes, { fd: to.fd, start: to.start + done })
        position += bytes.length
        done += bytes.length
        // one call instead of an object, for the many small ones
        if (done === size && sha256 === undefined) return hashOnce('sha256', bytes, 'hex')
        sha256 ??= createHash('sha256')
        sha256.update(bytes)
      }
    }
    return (sha256 ?? createHash('sha256')).digest('hex')
  }

  function wholeFile(
    { path, size }: WholeFile,
    options: { to: Place | undefined; counts: Counter },
  ): PieceAnswer {
    // a named pipe in place of the file must not block the thread
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const found = fstatSync(fd)
      if (!found.isFile() || found.size !== size) return 'another file'
      return digest([{ fd, start: 0, end: size }], { ...options, ahead: size })
    } finally {
      // its descriptor may become another file's
      window.fd = -1
      closeSync(fd)
    }
  }

  function pieceAnswer(
    { from, to }: Piece,
    { ahead, counts }: { ahead: number; counts: Counter },
  ): PieceAnswer {
    writing = false
    try {
      return 'path' in from ? wholeFile(from, { to, counts }) : digest(from, { to, ahead, counts })
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      return { code: code ?? 'EIO', message, writing }
    }
  }

  /** Returns for each piece the end of the adjacent ones that follow it in the same file: so far it may be read at once. */
  function aheads(pieces: readonly Piece[]): number[] {
    const ends: number[] = []
    for (let i = pieces.length - 1; i >= 0; i--) {
      const [extent, ...others] = 'path' in pieces[i]!.from ? [] : (pieces[i]!.from as readonly Extent[])
      const following = pieces[i + 1]?.from
      const next = following === undefined || 'path' in following ? undefined : following[0]
      const adjacent =
        extent !== undefined && others.length === 0 && next?.fd === extent.fd && next.start === extent.end
      ends[i] = adjacent ? ends[i + 1]! : (extent?.end ?? 0)
    }
    return ends
  }

  parentPort?.on('message', ({ pieces, stop }: HashRequest) => {
    const counts = counter(stop)
    const ends = aheads(pieces)
    // the file may have changed since the last request
    window.fd = -1
    const results: PieceAnswer[] = []
    for (const [i, piece] of pieces.entries()) {
      results.push(pieceAnswer(piece, { ahead: ends[i]!, counts }))
      if (counts.stopped()) return answer('stopped')
    }
    counts.report()
    answer({ results })
  })
}
