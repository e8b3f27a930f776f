import type { FileHandle } from 'node:fs/promises'

/**
 * Appends to a file so that a record is in it as a whole or not at all. A write that fails half-way (a full disk) leaves a torn tail: the
 * next record would be glued to it, and no later run could read the file (fault 123). The tail is cut back before anything is appended.
 */
export class AppendedFile {
  readonly #handle: FileHandle
  /** bytes of the complete records */
  #size: number
  #isTorn = false

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle
    this.#size = size
  }

  /** With `sync`, the record is on disk when the promise resolves. Throws system errors. */
  async append(text: string, { sync = false }: { sync?: boolean } = {}): Promise<void> {
    if (this.#isTorn) await this.#cutBack()
    const bytes = Buffer.from(text)
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, this.#size + done)
        done += bytesWritten
      }
      if (sync) await this.#handle.sync()
    } catch (error) {
      this.#isTorn = true
      // now if possible: this process may not append again
      await this.#cutBack().catch(() => {})
      throw error
    }
    this.#size += bytes.length
  }

  async #cutBack(): Promise<void> {
    await this.#handle.truncate(this.#size)
    this.#isTorn = false
  }
}
