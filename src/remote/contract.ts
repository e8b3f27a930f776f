import type { Readable } from 'node:stream'
import type { UnreadableEntry } from '../content/successors.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import type { Reference } from '../core/reference.ts'
import type { SecretQueries } from '../core/secret-queries.ts'

/** What the rest of the product sees of the network. `http-client.ts` and `registry-client.ts` implement it. */

/** A complete answer. Names of headers are lower-case. */
export interface Fetched {
  /** final URL after redirects, redacted */
  url: string
  headers: Record<string, string>
  bytes: Buffer
}

export interface OpenedBody {
  body: Readable
  /** offset of the first byte of `body`: the requested one, or 0 where upstream sent everything */
  start: number
  /** full size in bytes, if upstream stated it */
  size?: number
  /** strong ETag or Last-Modified, for If-Range */
  validator?: string
}

/** One source of a blob. Throws NETWORK (try again), NOT_FOUND_UPSTREAM (try the next source), … */
export interface BlobOpener {
  /** for messages, redacted */
  name: string
  open(at: { offset: number; validator?: string | undefined }, signal?: AbortSignal): Promise<OpenedBody>
}

/**
 * Which answer names a URL that no person configured (a link of a page, an entry of an index): its final URL. The request must not lead
 * closer to this machine than the server of that answer (REDIRECT_REFUSED).
 */
export interface Named {
  namedBy?: string | undefined
}

export interface GetOptions extends Named {
  maxBytes: number
  headers?: Record<string, string>
  tooLargeIs?: TooLarge
}

/**
 * What an answer above the limit means: UNSUPPORTED (default) for content that may be right, only too large to be read;
 * UPSTREAM_INVALID for an answer that cannot be what was requested; SIZE_MISMATCH where a verified list states the size.
 */
export type TooLarge = 'UNSUPPORTED' | 'UPSTREAM_INVALID' | 'SIZE_MISMATCH'

export interface HttpClient {
  /** credentials in queries, which requests get and nothing else */
  readonly secretQueries: SecretQueries
  /** Reads a whole body into memory, with retries. Throws `tooLargeIs` above maxBytes. */
  get(url: string, options: GetOptions): Promise<Fetched>
  /** Returns the size in bytes by HEAD (or a range of one byte); undefined if upstream does not state it. */
  size(url: string, named?: Named): Promise<number | undefined>
  /** Returns one opener per mirror of the URL (remapped sources); `download` tries them in order. */
  openers(url: string, named?: Named): BlobOpener[]
  /** Places of the URL (remapped sources), the first to be tried first; for programs that fetch by themselves. */
  mirrors(url: string): string[]
  /**
   * Follows the redirects of a URL, for programs that fetch by themselves; of a URL of another scheme than http, only the host is
   * checked. Returns where they end, without its query, and whether a login is required there; and the only addresses that the program may
   * connect to, where an answer named the host: none where DNS does not know it, undefined where a person configured it. Throws
   * REDIRECT_REFUSED; any other failure is left to the program, at the URL itself.
   */
  locate(
    url: string,
    named?: Named,
  ): Promise<{ url: string; isProtected: boolean; addresses?: readonly string[] }>
  close(): Promise<void>
}

export interface ResolvedManifest {
  descriptor: Descriptor
  /** the raw bytes, verified against descriptor.digest */
  bytes: Buffer
}

/** What refers to a manifest. */
export interface Referrers {
  /** by its `subject` */
  listed: Descriptor[]
  /** by its tag */
  tagged: { tag: string; manifest: ResolvedManifest }[]
  /** what the registry lists and no client can fetch */
  unreadable: UnreadableEntry[]
}

export interface RegistryClient {
  /** Fetches a manifest or index by tag or digest from the first mirror that has it. Throws NOT_FOUND_UPSTREAM, UNSUPPORTED (schema 1), … */
  manifest(reference: Reference): Promise<ResolvedManifest>
  /** Returns all tags of a repository, in the order of the registry. Throws NOT_FOUND_UPSTREAM. */
  tags(name: Pick<Reference, 'host' | 'repository'>): Promise<string[]>
  /** Fetches a small blob (an image config) into memory, verified. Throws UNSUPPORTED above maxBytes (default: 16 MiB). */
  blob(reference: Reference, descriptor: Descriptor, options?: { maxBytes: number }): Promise<Buffer>
  /** Returns one opener per mirror. `name` is host/repository. */
  openers(name: string, digest: Digest, as: 'manifest' | 'blob'): BlobOpener[]
  /** Finds what refers to `digest`: by the referrers API of the distribution-spec or its fallback tag, and by the tags of cosign 2. */
  referrers(reference: Reference, digest: Digest): Promise<Referrers>
}
