import type { FileHandle } from 'node:fs/promises'
import type { Source } from '../content/artifact.ts'
import type { Extent, Place } from '../content/hash-worker.ts'
import type { DownloadSink } from '../content/sink.ts'
import { Verifier } from '../content/verify.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { SlotJournal, SlotState } from './slot-journal.ts'

/** Resources that all slots of one writer share. */
export interface SlotFile {
  path: string
  handle: FileHandle
  journal: SlotJournal
  buffers: BufferPool
  /** called with the number of bytes that were written */
  wrote: (bytes: number) => void
}

/**
 * The place of one blob in the unfinished bundle. Chunks are hashed on arrival, gathered in large buffers, and written while the next
 * ones are hashed; a slot holds at most two buffers. Nothing is complete before `finish` has returned.
 */
export class Slot implements DownloadSink {
  readonly descriptor: Descriptor
  readonly sources: Source[]
  validator: string | undefined
  readonly #file: SlotFile
  readonly #offset: number
  /** undefined until the bytes of an earlier run have been hashed again */
  #verifier: Verifier | undefined
  #buffer: Buffer | undefined
  #buffered = 0
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
  }

  /** Bytes accepted so far, whether or not they are written yet. */
  get received(): number {
    return this.#verifier?.received ?? this.#written
  }

  get complete(): boolean {
    return this.#state === 'complete'
  }

  /** Throws SIZE_MISMATCH at the first byte too many, and starts over. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#throwFailure()
    const verifier = await this.#continue()
    try {
      verifier.update(chunk)
    } catch (error) {
      await this.restart()
      throw error
    }
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
    this.#drop()
    this.validator = validator
    this.#written = 0
    this.#verifier = new Verifier(this.descriptor)
    await this.#record()
  }

  /** Verifies the content. A body that ended too early can be continued (SIZE_MISMATCH keeps it); wrong bytes are discarded. */
  async finish(): Promise<void> {
    this.#throwFailure()
    const verifier = await this.#continue()
    await this.#settle()
    if (verifier.received === this.descriptor.size) {
      try {
        verifier.finish()
      } catch (error) {
        await this.restart()
        throw error
      }
      await this.#complete()
    } else {
      // `finish` ends the hash, so it is only called if the size is right
      throw new AirgapError(
        'SIZE_MISMATCH',
        `only ${verifier.received} of ${this.descriptor.size} bytes were received`,
        {
          item: this.descriptor.digest,
          likely: 'the source or the connection ended too early',
          next: 'run the same command again: it continues where it stopped',
        },
      )
    }
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
    this.#drop()
  }

  async #complete(): Promise<void> {
    const { digest, size } = this.descriptor
    await this.#file.journal.record(digest, { complete: true, received: size })
    this.#state = 'complete'
  }

  /** Returns the hash of everything in the file, which it reads if necessary. */
  async #continue(): Promise<Verifier> {
    this.#checkOpen()
    if (this.#verifier !== undefined) return this.#verifier
    const verifier = new Verifier(this.descriptor)
    const buffer = this.#file.buffers.take()
    try {
      while (verifier.received < this.#written) {
        const wanted = Math.min(buffer.length, this.#written - verifier.received)
        const { bytesRead } = await this.#file.handle.read(
          buffer,
          0,
          wanted,
          this.#offset + verifier.received,
        )
        if (bytesRead === 0) throw this.#shrunk()
        verifier.update(buffer.subarray(0, bytesRead))
      }
    } catch (error) {
      throw fromSystemError(error, this.#file.path)
    } finally {
      this.#file.buffers.give(buffer)
    }
    this.#verifier = verifier
    return verifier
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
  async #put(buffer: Buffer, length: number): Promise<void> {
    try {
      for (let done = 0; done < length; ) {
        const at = this.#offset + this.#written
        const { bytesWritten } = await this.#file.handle.write(buffer, done, length - done, at)
        done += bytesWritten
        this.#written += bytesWritten
      }
      this.#file.wrote(length)
      this.#noteProgress()
    } catch (error) {
      // bytes that were hashed are not in the file: hash the file again
      this.#verifier = undefined
      this.#drop()
      this.#failure = fromSystemError(error, this.#file.path)
    } finally {
      this.#file.buffers.give(buffer)
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

  #drop(): void {
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

  #shrunk(): AirgapError {
    return new AirgapError('IO', 'the unfinished bundle was truncated while it was written', {
      item: this.#file.path,
      likely: 'another program changed it',
      next: 'delete it and run the build again',
    })
  }
}
