import type { TreeEntries } from '../content/tree.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import type { ChallengeOptions } from './challenge.ts'
import type { MonitoringOptions } from './monitoring.ts'
import type { Permission, WriteEntry } from './permission.ts'
import type { Verdicts } from './verdicts.ts'

/** The input of the servers in this folder: plain data and lookups over any store. */

/** The repositories of the registry. */
export interface ServedImages {
  /** Returns all names of repositories for `_catalog`, in any order. */
  names(): Iterable<string>
  /**
   * Returns the repository at `/v2/<name>`; `ns` is the upstream host in a request of a containerd mirror. A name that exists only with
   * its `ns` need not be among `names()`.
   */
  find(name: string, ns?: string): ServedRepository | undefined
  /**
   * Returns the one name under which content that is pushed to this repository is kept, whichever of its names a request uses. Absent: the
   * name itself; undefined: nothing can be pushed there.
   */
  canonical?(name: string, ns?: string): string | undefined
}

/** One repository. Content is found only in a repository to which it belongs. */
export interface ServedRepository {
  /** tag → manifest */
  tags: ReadonlyMap<string, Descriptor>
  /** Returns the manifest or index with this digest, with the `mediaType` to send; undefined if it is not of this repository. */
  manifest(digest: Digest): Promise<Descriptor | undefined>
  /** Returns the config or layer with this digest; undefined if it is not of this repository. */
  blob(digest: Digest): Promise<Descriptor | undefined>
  /**
   * Returns the manifests whose `subject` is this digest, with `artifactType` and annotations (distribution-spec, "Listing Referrers").
   * Absent: none.
   */
  referrers?(subject: Digest): Promise<readonly Descriptor[]>
}

/**
 * What was pushed to this registry, next to the bundles' content, which wins. Names are canonical ones (`ServedImages.canonical`). Bytes of
 * its blobs are in the store, like those of bundles. Errors: NOT_FOUND for an unknown upload, BUSY for one that another request
 * writes to, RANGE_NOT_SATISFIABLE for another offset, DIGEST_MISMATCH, MANIFEST_INVALID, NO_SPACE, and PERMISSION for a deletion that would
 * damage other content.
 */
export interface ServedOverlay {
  /** Returns the names of all repositories that have a manifest. */
  names(): Promise<string[]>
  /** Returns whether anything was pushed to this repository. */
  has(at: { name: string }): Promise<boolean>
  manifest(at: { name: string; reference: string }): Promise<Descriptor | null>
  blob(at: { name: string; digest: Digest }): Promise<Descriptor | null>
  tags(at: { name: string }): Promise<string[]>
  referrers(at: { name: string; subject: Digest }): Promise<readonly Descriptor[]>

  /** `whole`: the request that opens the upload has all of it */
  beginUpload(at: { name: string; whole?: boolean }): Promise<{ id: string }>
  /** Returns the bytes that an upload has. */
  upload(at: { name: string; id: string }): Promise<{ size: number }>
  /** Appends a body; `from` is the offset that the client names. What arrived before a body broke off stays. */
  write(
    at: { name: string; id: string; from?: number },
    body: AsyncIterable<Uint8Array>,
  ): Promise<{ size: number }>
  /** Appends a last body, and makes the upload a blob. */
  finish(
    at: { name: string; id: string; from?: number; digest: Digest },
    body: AsyncIterable<Uint8Array>,
  ): Promise<void>
  cancel(at: { name: string; id: string }): Promise<void>

  /** Adds a blob of repository `from` (absent: of any) to another one; null: it is not there. */
  mount(at: { name: string; digest: Digest; from?: string }): Promise<Descriptor | null>
  /** Adds a blob of a bundle to a repository. */
  linkBundleBlob(at: { name: string; blob: Descriptor }): Promise<void>
  /** Adds a manifest, unless something that it refers to is missing, or has another size. */
  push(manifest: {
    name: string
    bytes: Uint8Array
    mediaType?: string
    /** what the client expects */
    digest?: Digest
    tags: string[]
    /** Returns a blob or manifest of the bundle's repository of this name. */
    inBundle(digest: Digest): Promise<Descriptor | undefined>
    /** Returns whether the bytes of this content are there, in a bundle or in the overlay. */
    isServed(content: Descriptor): Promise<boolean>
  }): Promise<{ descriptor: Descriptor; subject?: Digest; missing: Digest[]; wrongSize: Digest[] }>
  /** The following three return false for content that does not exist. */
  deleteTag(at: { name: string; tag: string }): Promise<boolean>
  deleteManifest(at: { name: string; digest: Digest }): Promise<boolean>
  deleteBlob(at: { name: string; digest: Digest }): Promise<boolean>
}

/** A document that is generated on the site. */
export interface GeneratedDocument {
  bytes: Uint8Array
  /** its Content-Type; for a text, with charset */
  mediaType: string
  /** sent, and compared for If-Modified-Since; absent: neither */
  lastModified?: Date
}

/** A folder of the HTTP server: a tree of the store, overlaid with documents generated on the site. */
export interface ServedMount {
  /** URL path of the folder, decoded: `/files`, `/debs/debian-12`; `/` is the root. Mounts may be nested. */
  prefix: string
  /** path below `prefix` → content; a 120000 entry is followed if it stays inside the mount */
  entries?: TreeEntries
  /** path below `prefix` → document, which takes precedence over an entry of the same path */
  generated?: ReadonlyMap<string, GeneratedDocument>
  /**
   * path of a folder below `prefix`, without a slash at the end → its page instead of a listing, in several media types: the client's
   * Accept header chooses; the first is for clients that accept none of them
   */
  pages?: ReadonlyMap<string, readonly GeneratedDocument[]>
  /** path below `prefix` → service; wins over everything else at that path, where it has an answer */
  services?: ReadonlyMap<string, Service>
}

/** Answers what no file can: a protocol in which the client says what it wants. Only these paths take a POST. */
export interface Service {
  /** undefined: the file at this path, if there is one, is the answer */
  answer(request: ServiceRequest): Promise<ServiceAnswer | undefined>
}

export interface ServiceRequest {
  method: 'GET' | 'POST'
  query: URLSearchParams
  /** lower-case names */
  headers: Readonly<Record<string, string | undefined>>
  /** of a POST, at most 8 MiB; unpacked where the client compressed it */
  body: Buffer
}

export interface ServiceAnswer {
  mediaType: string
  /** of a body in memory: a client that has it already gets 304 */
  etag?: string
  headers?: Readonly<Record<string, string>>
  /** an error while it is read breaks the connection */
  body: Uint8Array | AsyncIterable<Uint8Array>
}

/** One request, answered or aborted. */
export interface AccessEntry {
  method: string
  /** path and query as requested, at most 1,000 characters */
  url: string
  status: number
  /** bytes of the body that were sent */
  bytes: number
  /** from the request's head to the end of the answer */
  milliseconds: number
  remoteAddress: string
  userAgent?: string
  /** the answer is incomplete: the client disconnected, or the content is damaged */
  aborted?: true
  /** the error on this side */
  error?: string
  /** this entry is the last of so many of its kind, which are not logged one by one (log-rate.ts) */
  count?: number
}

/** When content is hashed: once for each state of its file, or every byte that is sent. */
export const verifyModes = ['once', 'always'] as const
export type VerifyMode = (typeof verifyModes)[number]

/** Options of both servers, with defaults for a site. */
export interface ServerOptions {
  /** called once per request, after its answer */
  log?: (entry: AccessEntry) => void
  /** longest time until the head of a request is complete; default 15,000 */
  headersTimeoutMs?: number
  /** longest time of an idle connection; default 65,000 */
  keepAliveTimeoutMs?: number
  /** longest time in which a client reads nothing of an answer; default 300,000 */
  stallTimeoutMs?: number
  /** connections above this number are refused; default 10,000 */
  maxConnections?: number
  /** answers clients that want to know whether this is the server that they expect; absent: no proof */
  challenge?: ChallengeOptions
  /** who may do what; absent: everybody may read */
  permission?: Permission
  /** called for each write of a user, after its answer */
  audit?: (entry: WriteEntry) => void
  /** URL paths that need no login, also where reading does */
  openPaths?: readonly string[]
  /** memory for the cache of small content; default 32 MiB */
  cacheBytes?: number
  /** answers monitoring systems; absent: nothing */
  monitoring?: MonitoringOptions
  /** who knows which content is right; default: this server, which finds out itself (local-verdicts.ts) */
  verdicts?: Verdicts
  /** default `once` */
  verify?: VerifyMode
  /** where pushes to the registry go; absent: it is read-only */
  overlay?: ServedOverlay
  /** memory for the pieces that are being sent, bytes; default 32 MiB */
  bufferBytes?: number
}
