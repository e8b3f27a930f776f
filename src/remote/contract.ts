import type { Readable } from 'node:stream'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import type { Reference } from '../core/reference.ts'

/** What the rest of the product may ask of the network. `http-client.ts` and `registry-client.ts` are the implementations. */

/** Headers are lower-case. */
export interface Fetched {
  /** final URL after redirects, redacted */
  url: string
  headers: Record<string, string>
  bytes: Buffer
}

export interface OpenedBody {
  body: Readable
  /** offset of the first byte of `body`: the one asked for, or 0 where upstream sent everything */
  start: number
  /** full size where upstream said it */
  size?: number
  /** strong ETag or Last-Modified, for If-Range */
  validator?: string
}

/** One place a blob can be had from. Throws NETWORK (try again), NOT_FOUND_UPSTREAM (try the next place), … */
export interface BlobOpener {
  /** for messages, redacted */
  name: string
  open(at: { offset: number; validator?: string | undefined }, signal?: AbortSignal): Promise<OpenedBody>
}

export interface HttpClient {
  /** Whole body in memory, with retries; SIZE_MISMATCH over maxBytes. */
  get(url: string, options: { maxBytes: number; headers?: Record<string, string> }): Promise<Fetched>
  /** Size in bytes by HEAD (or a 1-byte range), undefined where upstream does not say. */
  size(url: string): Promise<number | undefined>
  /** One opener per mirror of the URL (remapped sources), tried in order by `download`. */
  openers(url: string): BlobOpener[]
  close(): Promise<void>
}

export interface ResolvedManifest {
  descriptor: Descriptor
  /** the raw bytes, verified against descriptor.digest */
  bytes: Buffer
}

export interface RegistryClient {
  /** Manifest or index by tag or digest, from the first mirror that has it. NOT_FOUND_UPSTREAM, UNSUPPORTED (schema 1), … */
  manifest(reference: Reference): Promise<ResolvedManifest>
  /** Small blob (an image config) in memory, verified. */
  blob(reference: Reference, descriptor: Descriptor): Promise<Buffer>
  /** One opener per mirror. `name` is host/repository. */
  openers(name: string, digest: Digest, as: 'manifest' | 'blob'): BlobOpener[]
  /** Descriptors that refer to `digest` (distribution-spec referrers API, or its tag fallback). */
  referrers(reference: Reference, digest: Digest): Promise<Descriptor[]>
}
