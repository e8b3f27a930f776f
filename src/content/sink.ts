import type { Descriptor } from '../core/descriptor.ts'

/** Where a download writes: a slot of the bundle, or memory. One writer at a time, which awaits every call. */
export interface DownloadSink {
  readonly descriptor: Descriptor
  /** bytes received so far: a download continues at this offset */
  readonly received: number
  /** strong ETag or Last-Modified of the received bytes, for If-Range */
  validator?: string | undefined
  /** Appends the chunk. Once it resolves, the chunk may be reused and the next one written. */
  write(chunk: Uint8Array): Promise<void>
  /** Discards the received bytes and starts at 0. */
  restart(validator?: string): Promise<void>
  /** Verifies size and digest. Throws SIZE_MISMATCH, DIGEST_MISMATCH. */
  finish(): Promise<void>
}
