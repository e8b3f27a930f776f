import type { FileHandle } from 'node:fs/promises'
import type { Source } from '../content/artifact.ts'
import type { HashStream, HashStreams } from '../content/hash-streams.ts'
import type { Extent, Place } from '../content/hash-worker.ts'
import type { DownloadSink } from '../content/sink.ts'
import { refuseOther, wrongSize } from '../content/verify.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { SlotJournal, SlotState } from './slot-journal.ts'

/** Resources that all slots of one writer share. */
export interface SlotFile {
  path: string
  handle: FileHandle
  journal: SlotJournal
  buffers: BufferPool
  streams: HashStreams
  /** called with the number of bytes that were written */
  wrote: (bytes: number) => void
}

/**
 * The place of one blob in the unfinished bundle. Chunks are gathered in large buffers, which a thread hashes and writes while the next
 * ones arrive; a slot holds at most two buffers. Nothing is complete before `finish` has returned.
 */
export class Slot implements DownloadSink {
  readonly descriptor: Descriptor
  readonly sources: Source[]
  validator: string | undefined
  readonly #file: SlotFile
  readonly #offset: number
  /** the hash of the bytes in the file; undefined until it is needed, and after a failure */
  #stream: HashStream | undefined
  /** of a content that was in one buffer */
  #digest: Digest | undefined
  #buffer: Uint8Array<SharedArrayBuffer> | undefined
  #buffered = 0
  /** bytes accepted: those in the file, and those in buffers */
  #received: number
  /** bytes in the file */
  #written: number
  #flushing: Promise<void> | undefined
  /** of a write in the background; the next call throws it once */
  #failure: unknown
  #state: 'open' | 'complete' | 'closed' = 'open'

  constructor(
    entry: { descriptor: Descriptor; sources: Source[]; offset: number },
    options: { file: SlotFile; state: SlotState | undefined },
  ) {
    this.descriptor = entry.descriptor
    this.sources = entry.sources
    this.#offset = entry.offset
    this.#file = options.file
    this.validator = options.state?.validator
    this.#written = Math.min(options.state?.received ?? 0, entry.descriptor.size)
    this.#received = this.#written
  }

  /** Bytes accepted so far, whether or not they are written yet. */
  get received(): number {
    return this.#received
  }

  get complete(): boolean {
    return this.#state === 'complete'
  }

  /** Throws SIZE_MISMATCH at the first byte too many, and starts over. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#throwFailure()
    this.#checkOpen()
    const received = this.#received + chunk.length
    if (received > this.descriptor.size) {
      await this.restart()
      throw wrongSize(this.descriptor, { received })
    }
    this.#received = received
    for (let taken = 0; taken < chunk.length; ) {
      this.#buffer ??= this.#file.buffers.take()
      const part = chunk.subarray(taken, taken + this.#buffer.length - this.#buffered)
      this.#buffer.set(part, this.#buffered)
      this.#buffered += part.length
      taken += part.length
      if (this.#buffered === this.#buffer.length) await this.#flush()
    }
  }

  async restart(validator?: string): Promise<void> {
    this.#checkOpen()
    await this.#flushing
    this.#failure = undefined
    this.#forget()
    this.validator = validator
    this.#written = 0
    this.#received = 0
    await this.#record()
  }

  /** Verifies the content. A body that ended too early can be continued (SIZE_MISMATCH keeps it); wrong bytes are discarded. */
  async finish(): Promise<void> {
    this.#throwFailure()
    this.#checkOpen()
    await this.#settle()
    if (this.#received !== this.descriptor.size) {
      throw new AirgapError(
        'SIZE_MISMATCH',
        `only ${this.#received} of ${this.descriptor.size} bytes were received`,
        {
          item: this.descriptor.digest,
          likely: 'the source or the connection ended too early',
          next: 'run the same command again: it continues where it stopped',
        },
      )
    }
    const digest = await this.#digestOfAll()
    try {
      refuseOther(this.descriptor, { digest })
    } catch (error) {
      await this.restart()
      throw error
    }
    await this.#complete()
  }

  /** Where a thread may write the whole content, as long as nothing else writes to the slot; `adopt` follows. */
  get place(): Place {
    return { fd: this.#file.handle.fd, start: this.#offset }
  }

  /** The bytes of the slot, all of them. */
  get extent(): Extent {
    return { fd: this.#file.handle.fd, start: this.#offset, end: this.#offset + this.descriptor.size }
  }

  /**
   * Takes over the content of which a thread computed this digest while it wrote or read it: the slot is complete, or empty again if
   * it is another one's, or there is none.
   */
  async adopt(digest: Digest | AirgapError): Promise<void> {
    this.#file.wrote(this.descriptor.size)
    if (digest !== this.descriptor.digest) return await this.restart()
    await this.#complete()
  }

  /** Writes the buffered bytes, so that a later run continues after them. No write may follow. */
  async park(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'closed'
    try {
      await this.#settle()
    } catch {
      // the run has failed or is about to: the journal has the progress of this slot
    }
    this.#forget()
  }

  async #complete(): Promise<void> {
    const { digest, size } = this.descriptor
    await this.#file.journal.record(digest, { complete: true, received: size })
    this.#state = 'complete'
  }

  async #digestOfAll(): Promise<Digest> {
    if (this.#digest !== undefined) return this.#digest
    if (this.#written === 0) return digestOf('')
    try {
      const stream = await this.#continue()
      this.#stream = undefined
      return await stream.digest()
    } catch (error) {
      this.#forget()
      throw this.#reported(error)
    }
  }

  /** Returns the hash of everything in the file, which a thread reads if necessary. */
  async #continue(): Promise<HashStream> {
    if (this.#stream !== undefined) return this.#stream
    const stream = this.#file.streams.open()
    this.#stream = stream
    this.#digest = undefined
    const { fd, start } = this.place
    if (this.#written > 0) await stream.read({ fd, start, end: start + this.#written })
    return stream
  }

  /** Starts to write the buffer once the previous one is written, and returns. */
  async #flush(): Promise<void> {
    await this.#flushing
    this.#throwFailure()
    const buffer = this.#buffer
    if (buffer === undefined) return
    const length = this.#buffered
    this.#buffer = undefined
    this.#buffered = 0
    this.#flushing = this.#put(buffer, length)
  }

  #throwFailure(): void {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
  }

  async #settle(): Promise<void> {
    await this.#flush()
    await this.#flushing
    this.#throwFailure()
  }

  /** Never rejects: the next call throws the failure. */
  async #put(buffer: Uint8Array<SharedArrayBuffer>, length: number): Promise<void> {
    try {
      const bytes = buffer.subarray(0, length)
      // a message to a thread and back takes longer than hashing one buffer
      if (length === this.descriptor.size) await this.#putWhole(bytes)
      else await (await this.#continue()).write(bytes, { ...this.place, start: this.#offset + this.#written })
      this.#written += length
      this.#file.wrote(length)
      this.#noteProgress()
    } catch (error) {
      // bytes that were hashed are not in the file: hash the file again
      this.#forget()
      this.#received = this.#written
      this.#failure = this.#reported(error)
    } finally {
      this.#file.buffers.give(buffer)
    }
  }

  async #putWhole(bytes: Uint8Array): Promise<void> {
    this.#digest = digestOf(bytes)
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.handle.write(
        bytes,
        done,
        bytes.length - done,
        this.#offset + done,
      )
      done += bytesWritten
    }
  }

  #record(): Promise<void> {
    const { digest } = this.descriptor
    return this.#file.journal.record(digest, {
      complete: false,
      received: this.#written,
      validator: this.validator,
    })
  }

  /** Not awaited: a lost line only means that more is fetched again. */
  #noteProgress(): void {
    this.#record().catch(() => {})
  }

  /** Drops what is buffered, and the hash. */
  #forget(): void {
    this.#stream?.close()
    this.#stream = undefined
    this.#digest = undefined
    if (this.#buffer !== undefined) this.#file.buffers.give(this.#buffer)
    this.#buffer = undefined
    this.#buffered = 0
  }

  #checkOpen(): void {
    if (this.#state === 'open') return
    throw new AirgapError('INTERNAL', `a write to a slot that is ${this.#state}`, {
      item: this.descriptor.digest,
    })
  }

  #reported(error: unknown): unknown {
    return errnoOf(error) === 'ENDED' ? this.#shrunk() : fromSystemError(error, this.#file.path)
  }

  #shrunk(): AirgapError {
    return new AirgapError('IO', 'the unfinished bundle was truncated while it was written', {
      item: this.#file.path,
      likely: 'another program changed it',
      next: 'delete it and run the build again',
    })
  }
}
