import type { TreeEntries } from '../content/tree.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'

/** What the servers of this folder are given. Plain data and lookups: whoever has a store can build them. */

/** The repositories of the registry. */
export interface ServedImages {
  /** all repository names that answer, for `_catalog`; any order */
  names(): Iterable<string>
  /**
   * What answers at `/v2/<name>`; `ns` is the upstream host a containerd mirror request names. A name that answers under
   * its `ns` need not be among `names()`.
   */
  find(name: string, ns?: string): ServedRepository | undefined
}

/** One repository. Content answers only where it belongs to the repository that is asked. */
export interface ServedRepository {
  /** tag → manifest */
  tags: ReadonlyMap<string, Descriptor>
  /** The manifest or index with this digest, its `mediaType` as it is to be sent; undefined where it is not of this repository. */
  manifest(digest: Digest): Promise<Descriptor | undefined>
  /** The config or layer with this digest; undefined where it is not of this repository. */
  blob(digest: Digest): Promise<Descriptor | undefined>
  /**
   * Manifests whose `subject` is this digest, with `artifactType` and annotations as in distribution-spec "Listing
   * Referrers". Left out: none.
   */
  referrers?(subject: Digest): Promise<readonly Descriptor[]>
}

/** A document made on the site. */
export interface GeneratedDocument {
  bytes: Uint8Array
  /** its Content-Type, with charset where it is text */
  mediaType: string
  /** sent, and compared for If-Modified-Since; left out: neither */
  lastModified?: Date
}

/** A folder of the HTTP server: a tree of the store with documents made on the site laid over it. */
export interface ServedMount {
  /** URL path of the folder, decoded: `/files`, `/debs/debian-12`; `/` is the root. Mounts may stand inside each other. */
  prefix: string
  /** path below `prefix` → content; a 120000 entry is followed where it stays inside the mount */
  entries?: TreeEntries
  /** path below `prefix` → document; wins over an entry of the same path */
  generated?: ReadonlyMap<string, GeneratedDocument>
  /**
   * path of a folder below `prefix`, without a slash at its end → its page in place of a listing, in several media types: the
   * client's Accept chooses, the first is for one that takes none of them
   */
  pages?: ReadonlyMap<string, readonly GeneratedDocument[]>
}

/** One answered (or broken) request. */
export interface AccessEntry {
  method: string
  /** path and query as requested, at most 1,000 characters */
  url: string
  status: number
  /** bytes of the body that went out */
  bytes: number
  /** from the request's head to the end of the answer */
  milliseconds: number
  remoteAddress: string
  userAgent?: string
  /** the answer did not come to its end: the client left, or the content is damaged */
  aborted?: true
  /** what went wrong on this side */
  error?: string
}

/** Options of both servers. All have defaults fit for a site. */
export interface ServerOptions {
  /** called once a request, after its answer */
  log?: (entry: AccessEntry) => void
  /** how long the head of a request may take to arrive; default 15,000 */
  headersTimeoutMs?: number
  /** how long an idle connection is kept; default 65,000 */
  keepAliveTimeoutMs?: number
  /** how long a client may take nothing of an answer before it is cut off; default 300,000 */
  stallTimeoutMs?: number
  /** more connections than this are refused; default 10,000 */
  maxConnections?: number
  /** memory for small content that is asked for often; default 32 MiB */
  cacheBytes?: number
}
