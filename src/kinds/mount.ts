import type { ReadableStore } from '../content/store.ts'
import type { TreeEntries } from '../content/tree.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import type { Reference } from '../core/reference.ts'
import type { ClientFile } from './client-file.ts'

/** What a kind is on the site. */
export interface Mounts {
  /** how the registry names its artifacts; `none` where the registry does not serve it */
  readonly registry: 'none' | RegistryMount
  /** its part of the HTTP server; `none` where that does not serve it */
  readonly http: 'none' | HttpMount
}

/** Artifacts that the registry serves, each under the name in its annotation. */
export interface RegistryMount {
  /** Throws REFERENCE_INVALID for a name that the kind cannot have. */
  nameOf(refName: string): RegistryName
}

export interface RegistryName {
  /** undefined for content without an upstream registry */
  reference: Reference | undefined
  /** a chart is also served as `charts/NAME:TAG`, whatever its upstream */
  chart?: { name: string; tag: string }
}

/** A folder of the HTTP server with everything of one kind. */
export interface HttpMount {
  /** whether a tree of this name is served, under /NAME; trees of other kinds never are */
  serves(tree: string): boolean
  /**
   * One document out of two bundles' versions of it (the newer last); undefined where a path must be the same in all bundles. Throws
   * NAME_COLLISION.
   */
  merge(path: string, texts: readonly Buffer[]): Buffer | undefined
  /** What is served, and what machines need to use it. Throws BUNDLE_CORRUPT. */
  mount(content: MountedContent, context: MountContext): Promise<HttpView>
}

/** All content of one kind, of all bundles. */
export interface MountedContent {
  /** trees that the kind serves, those of several bundles united */
  trees: readonly MountedTree[]
  /** artifacts that are no trees, in the order of the bundles */
  roots: readonly Descriptor[]
}

export interface MountedTree {
  /** `debs/debian-12` */
  name: string
  /** path → content; a merged document has the descriptor of the merged text */
  entries: TreeEntries
  /** merged documents, which are in no bundle */
  documents: ReadonlyMap<string, Buffer>
  /** Reads a document whole, merged or not; at most 512 MiB. */
  text(path: string): Promise<Buffer>
}

export interface MountContext {
  store: ReadableStore
  /** signs what is generated */
  key: Signer
  /** when the site's documents were generated */
  now: Date
  /** URL of the HTTP server, without a slash at its end */
  httpServer: string
  /** path on a machine of the CA with which its clients check the servers; absent: the site has no TLS, or machines know the CA already */
  caFile?: string | undefined
}

/** The site's OpenPGP key. */
export interface Signer {
  /** 40 hex digits, upper case */
  fingerprint: string
  publicKeyArmored: string
  clearSign(text: string): Promise<string>
  detachSign(text: string): Promise<string>
}

export interface HttpView {
  mounts: SiteMount[]
  clients: ClientFile[]
  lists: SiteList[]
}

/** What people look for in one folder of the site. */
export interface SiteList {
  /** name of the kind */
  kind: string
  /** of the folder, without a slash at its start: `debs/debian-12` */
  name: string
  /** Reads the list: called when somebody looks at it, never while the site starts. Throws BUNDLE_CORRUPT. */
  items(): Promise<ListedItem[]>
}

export interface ListedItem {
  name: string
  version?: string
  /** of a package: `amd64`, `noarch` */
  architecture?: string
  size?: number /* bytes */
  digest?: Digest
  /** where the HTTP server has it, decoded: `/files/get.example/tool` */
  path?: string
  /** one line of its publisher */
  about?: string
}

/** A document generated on the site. */
export interface SiteDocument {
  bytes: Uint8Array
  mediaType: string
  lastModified: Date
}

/** A folder of the HTTP server. */
export interface SiteMount {
  prefix: string
  /** content of the bundles */
  entries?: TreeEntries
  /** path → document; wins over an entry with the same path */
  generated?: ReadonlyMap<string, SiteDocument>
  /** folder → its page, in several media types; the first for clients that prefer none */
  pages?: ReadonlyMap<string, readonly SiteDocument[]>
  /** path → service; wins over everything else at that path, where it has an answer */
  services?: ReadonlyMap<string, SiteService>
}

/** Answers what no file can: a protocol in which the client says what it wants. */
export interface SiteService {
  /** undefined: the file at this path, if there is one, is the answer. Throws USAGE, METHOD_NOT_ALLOWED. */
  answer(request: ServiceRequest): Promise<ServiceAnswer | undefined>
  /** query of a GET that shows that the service answers */
  readonly sample?: string
}

export interface ServiceRequest {
  method: 'GET' | 'POST'
  query: URLSearchParams
  /** lower-case names */
  headers: Readonly<Record<string, string | undefined>>
  /** of a POST; unpacked where the client compressed it */
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

export function documentOf(text: Uint8Array | string, mediaType: string, now: Date): SiteDocument {
  return { bytes: Buffer.from(text), mediaType, lastModified: now }
}

/** Mounts a tree unchanged, with its merged documents. */
export function mountOfTree(
  { name, entries, documents }: MountedTree,
  { now, mediaTypeOf = () => plainText }: { now: Date; mediaTypeOf?: (path: string) => string },
): SiteMount & { generated: Map<string, SiteDocument> } {
  const generated = [...documents].map(
    ([path, bytes]) => [path, documentOf(bytes, mediaTypeOf(path), now)] as const,
  )
  return { prefix: `/${name}`, entries, generated: new Map(generated) }
}

export const plainText = 'text/plain; charset=utf-8'
