import { constants } from 'node:fs'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type HashPool, hashPool } from '../content/hash-pool.ts'
import { hashStreams } from '../content/hash-streams.ts'
import { syncFolder } from '../core/atomic-file.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { mediaTypes } from '../core/media-types.ts'
import { acquireProcessLock, bootId, type ProcessLock } from '../core/process-lock.ts'
import { type Progress, silentProgress } from '../core/progress.ts'
import { BufferPool } from './buffer-pool.ts'
import { EarlySync } from './early-sync.ts'
import { fixedBytes, type Layout } from './layout.ts'
import { checkSpace, preallocate } from './preallocate.ts'
import { Slot } from './slot.ts'
import { copyIntoSlots, isWorthThreads, recheckSlots, type SlotCopy } from './slot-copies.ts'
import { readSlotJournal, SlotJournal, type SlotJournalState } from './slot-journal.ts'

export { Slot } from './slot.ts'

const bufferSize = 1 << 20 /* bytes */
const syncEvery = 128 << 20 /* bytes */

/**
 * Writes one bundle in place: `PATH.partial` has its full size from the start, blobs are written to their slots in any order, and with a
 * journal beside it a killed build continues. `PATH` is a complete bundle or remains unchanged. Throws BUSY, NO_SPACE, PERMISSION,
 * FILE_NOT_FOUND (no such folder).
 */
export class BundleWriter {
  readonly path: string
  readonly layout: Layout
  readonly #lock: ProcessLock
  readonly #file: FileHandle
  readonly #journal: SlotJournal
  readonly #pool: HashPool
  readonly #ownPool: boolean
  readonly #early: EarlySync
  readonly #streams = hashStreams()
  readonly #slots: Slot[]
  #open = true

  private constructor(
    path: string,
    layout: Layout,
    parts: {
      lock: ProcessLock
      file: FileHandle
      journal: SlotJournal
      pool: HashPool
      ownPool: boolean
    },
  ) {
    this.path = path
    this.layout = layout
    this.#lock = parts.lock
    this.#file = parts.file
    this.#journal = parts.journal
    this.#pool = parts.pool
    this.#ownPool = parts.ownPool
    this.#early = new EarlySync(parts.file, syncEvery)
    this.#slots = []
  }

  static async open(
    path: string,
    layout: Layout,
    options: {
      progress?: Progress
      /** threads that hash; default: its own, which it ends */
      pool?: HashPool
    } = {},
  ): Promise<BundleWriter> {
    const progress = options.progress ?? silentProgress
    const partial = `${path}.partial`
    await checkTarget(path)
    const lock = await acquireProcessLock(`${partial}.lock`, path)
    const pool = options.pool ?? hashPool()
    // threads before the files that they read and write
    const opened: { close(): Promise<void> }[] = options.pool === undefined ? [pool] : []
    try {
      const boot = await bootId()
      const { file, earlier } = await openPartial(partial, layout, progress)
      opened.push(file)
      await writeFixed(file, layout, partial)
      const state: SlotJournalState = {
        layoutDigest: layout.layoutDigest,
        boot,
        slots: earlier?.slots ?? new Map(),
      }
      const sameBoot = boot !== '' && earlier?.boot === boot
      // slots of another boot are recorded only once they have been checked
      const journal = await SlotJournal.create(
        `${partial}.journal`,
        sameBoot ? state : { ...state, slots: new Map() },
      )
      opened.push(journal)
      const writer = new BundleWriter(path, layout, {
        lock,
        file,
        journal,
        pool,
        ownPool: options.pool === undefined,
      })
      await writer.#makeSlots(state, { sameBoot, progress })
      return writer
    } catch (error) {
      for (const resource of opened) await resource.close()
      await lock.release()
      throw fromSystemError(error, partial)
    }
  }

  /** Returns the slots that lack bytes, largest first. */
  pending(): Slot[] {
    return this.#slots.filter(slot => !slot.complete).sort((a, b) => b.descriptor.size - a.descriptor.size)
  }

  /**
   * Has threads copy content of this host into its slots, and calls `copied` for each slot that was tried; one that is still pending had
   * another content, or could not be read or written. Returns false, and does nothing, where that is not worth starting threads.
   */
  async copy(
    copies: readonly SlotCopy[],
    options: { signal: AbortSignal | undefined; copied: (slot: Slot) => void },
  ): Promise<boolean> {
    if (!isWorthThreads(copies)) return false
    await copyIntoSlots(copies, { ...options, pool: this.#pool })
    return true
  }

  /** Syncs the content, then renames, then syncs the name. Throws INCOMPLETE while slots are pending. */
  async seal(): Promise<{ path: string; size: number }> {
    const missing = this.pending()
    if (missing.length > 0) {
      throw new AirgapError('INCOMPLETE', `${missing.length} blobs are missing`, {
        item: missing[0]!.descriptor.digest,
        next: 'run the same command again: it continues with what is missing',
      })
    }
    const partial = `${this.path}.partial`
    try {
      await this.#early.settle()
      await this.#file.sync()
      await rename(partial, this.path)
      await syncFolder(dirname(this.path))
      await rm(`${partial}.journal`, { force: true })
    } catch (error) {
      throw fromSystemError(error, this.path)
    }
    await this.close()
    return { path: this.path, size: this.layout.size }
  }

  /** Releases the lock. The next `open` with the same layout continues what is unfinished. */
  async close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    for (const slot of this.#slots) await slot.park()
    await this.#streams.close()
    if (this.#ownPool) await this.#pool.close()
    await this.#early.settle().catch(() => {})
    await this.#journal.close()
    await this.#file.close()
    await this.#lock.release()
  }

  async #makeSlots(
    state: SlotJournalState,
    options: { sameBoot: boolean; progress: Progress },
  ): Promise<void> {
    const buffers = new BufferPool(bufferSize)
    const shared = {
      path: `${this.path}.partial`,
      handle: this.#file,
      journal: this.#journal,
      buffers,
      streams: this.#streams,
      wrote: (bytes: number) => this.#early.wrote(bytes),
    }
    const complete = [...state.slots.values()].filter(slot => slot.complete).length
    if (complete > 0) options.progress.note(`verifying ${complete} blobs of the unfinished bundle`)
    const earlier: Slot[] = []
    for (const entry of this.layout.entries) {
      if (entry.type === 'link' || entry.digest === undefined || entry.bytes !== undefined) continue
      const descriptor = { mediaType: mediaTypes.octets, digest: entry.digest, size: entry.size }
      const known = state.slots.get(entry.digest)
      const slot = new Slot(
        { descriptor, sources: entry.sources ?? [], offset: entry.dataOffset },
        { file: shared, state: options.sameBoot ? known : undefined },
      )
      this.#slots.push(slot)
      if (known?.complete) earlier.push(slot)
    }
    await recheckSlots(earlier, this.#pool)
  }
}

async function checkTarget(path: string): Promise<void> {
  const folder = await stat(dirname(path)).catch(() => undefined)
  if (!folder?.isDirectory()) {
    throw new AirgapError('FILE_NOT_FOUND', 'the folder of the output does not exist', {
      item: dirname(path),
      next: 'create it with `mkdir -p`, or pass another path with --out',
    })
  }
  const found = await stat(path).catch(() => undefined)
  if (found === undefined || found.isFile()) return
  throw new AirgapError('USAGE', 'the output is not a file', {
    item: path,
    next: 'pass the path of a file with --out, for example dist/stack-1.0.tar',
  })
}

/** Opens the file of an earlier run if it is of the same layout; otherwise creates one of full size, all zeros. */
async function openPartial(
  partial: string,
  layout: Layout,
  progress: Progress,
): Promise<{ file: FileHandle; earlier?: SlotJournalState }> {
  const earlier = await readSlotJournal(`${partial}.journal`)
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants
  const file = await openAt(partial, O_RDWR | O_CREAT | O_NOFOLLOW)
  const { size } = await file.stat()
  try {
    await checkSpace(file, { path: partial, size: layout.size })
    if (earlier !== undefined && size === layout.size && earlier.layoutDigest === layout.layoutDigest) {
      return { file, earlier }
    }
    if (size > 0) progress.note('the unfinished bundle is of another lock; starting over')
    // a journal of other bytes must never apply to the new file
    await rm(`${partial}.journal`, { force: true })
    await file.truncate(0)
    await preallocate(file, { path: partial, size: layout.size })
    return { file }
  } catch (error) {
    await file.close()
    if (size === 0) await rm(partial, { force: true })
    throw error
  }
}

async function openAt(path: string, flags: number): Promise<FileHandle> {
  try {
    return await open(path, flags, 0o644)
  } catch (error) {
    if (errnoOf(error) !== 'ELOOP') throw fromSystemError(error, path)
    throw new AirgapError('PERMISSION', 'the path of the unfinished bundle is a symbolic link', {
      item: path,
      likely: 'another user can write to this folder, and the link could redirect the build to any file',
      next: 'remove the link, or choose another output folder',
    })
  }
}

/** Writes all that is known, adjacent parts together. Done on every open: it costs little, and a killed run may have stopped here. */
async function writeFixed(file: FileHandle, layout: Layout, path: string): Promise<void> {
  let start = 0
  let gathered: Uint8Array[] = []
  let length = 0
  const flush = async () => {
    const bytes = Buffer.concat(gathered, length)
    for (let done = 0; done < bytes.length; ) {
      done += (await file.write(bytes, done, bytes.length - done, start + done)).bytesWritten
    }
    gathered = []
    length = 0
  }
  try {
    for (const { offset, bytes } of fixedBytes(layout)) {
      if (offset !== start + length || length > bufferSize) {
        await flush()
        start = offset
      }
      gathered.push(bytes)
      length += bytes.length
    }
    await flush()
  } catch (error) {
    throw fromSystemError(error, path)
  }
}
