import type { FileHandle } from 'node:fs/promises'

/**
 * Has the disk work while the rest is fetched: without it, the kernel would keep gigabytes in memory until the last sync, which takes as
 * long as everything before.
 */
export class EarlySync {
  readonly #file: Pick<FileHandle, 'datasync'>
  readonly #every: number
  #unsynced = 0
  #running: Promise<void> | undefined
  #failed = false
  #failure: unknown

  constructor(file: Pick<FileHandle, 'datasync'>, every: number /* bytes */) {
    this.#file = file
    this.#every = every
  }

  /** That many bytes were written. Starts a sync now and then, one at a time, and does not wait for it. */
  wrote(bytes: number): void {
    this.#unsynced += bytes
    if (this.#unsynced < this.#every || this.#running !== undefined || this.#failed) return
    this.#unsynced = 0
    this.#running = this.#sync()
  }

  async #sync(): Promise<void> {
    try {
      await this.#file.datasync()
    } catch (error) {
      this.#failed = true
      this.#failure = error
    } finally {
      this.#running = undefined
    }
  }

  /**
   * Waits for a running sync. Throws the failure of any: the kernel reports lost bytes to one sync of an open file, and the last sync would
   * succeed (fsync(2), "EIO").
   */
  async settle(): Promise<void> {
    await this.#running
    if (this.#failed) throw this.#failure
  }
}
