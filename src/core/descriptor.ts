import type { Digest } from './digest.ts'
import type { Platform } from './platform.ts'

/** A descriptor (OCI image-spec, descriptor.md). `size` is in bytes. */
export interface Descriptor {
  mediaType: string
  digest: Digest
  size: number
  annotations?: Record<string, string>
  artifactType?: string
  platform?: Platform
  urls?: string[]
}

/** A half-open range of bytes: `start` ≤ offset < `end`. */
export interface ByteRange {
  start: number
  end: number
}
