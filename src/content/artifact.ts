import type { Descriptor } from '../core/descriptor.ts'

/**
 * Where a build can fetch the bytes of a blob. Names are upstream's own: `remote` applies mirrors when it fetches, so that a lock
 * never depends on them.
 */
export type Source =
  | {
      type: 'registry'
      /** host/repository */
      name: string
      /** manifests and blobs have different endpoints */
      as: 'manifest' | 'blob'
    }
  | {
      type: 'url'
      url: string
      /** where a person can look for old versions once the publisher has removed this one */
      archivedAt?: string
    }
  /**
   * `path` (encoded) below any mirror of a list: a yum mirrorlist or metalink at `list`, read when content is fetched. `variables` are those in
   * the URLs that the list contains.
   */
  | { type: 'mirrors'; list: string; variables: Record<string, string>; path: string }
  /** relative to the folder of the stack manifest */
  | { type: 'path'; path: string }
  /** written by a kind (`Kind.create`), from the recipe alone; `name` is host/path, for people */
  | { type: 'created'; kind: string; name: string; recipe: Record<string, string> }
  /** a file of this tool's own installation, by its name in the bundle */
  | { type: 'tool'; name: string }

/** A blob that a build fetches or copies into its slot. */
export interface PlannedBlob {
  descriptor: Descriptor
  sources: Source[]
  /** small metadata that readers need first: goes to the front of the tar */
  front?: boolean
  /** also has this name in the tar (files that a site needs to start); `mode` is its mode there */
  file?: { path: string; mode: number }
}

/** A blob that is a pure function of the lock. */
export interface InlineBlob {
  descriptor: Descriptor
  bytes: Uint8Array
}

/** One entry of the bundle's index.json with all content that it refers to. */
export interface Artifact {
  /** with at least the annotations ref.name and kind */
  root: Descriptor
  inline: InlineBlob[]
  blobs: PlannedBlob[]
}
