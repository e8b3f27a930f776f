import type { Descriptor } from '../core/descriptor.ts'

/** Where downloaded bytes go: a slot of the bundle, or memory. One writer at a time; every call is awaited. */
export interface DownloadSink {
  readonly descriptor: Descriptor
  /** bytes already there: a download continues at this offset */
  readonly received: number
  /** strong ETag or Last-Modified of what is there, for If-Range */
  validator?: string | undefined
  /** Appends; resolves when it may be given more, and the chunk may be reused. */
  write(chunk: Uint8Array): Promise<void>
  /** Throws everything received away and starts at 0. */
  restart(validator?: string): Promise<void>
  /** Verifies size and digest; throws SIZE_MISMATCH or DIGEST_MISMATCH. */
  finish(): Promise<void>
}
