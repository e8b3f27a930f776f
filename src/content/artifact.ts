import type { Descriptor } from '../core/descriptor.ts'

/**
 * Where the bytes of a blob can be had while building. Names are the upstream's own; mirrors are applied by `remote`
 * when fetching, so that a lock never depends on them.
 */
export type Source =
  | {
      type: 'registry' /** host/repository */
      name: string /** manifests and blobs have different endpoints */
      as: 'manifest' | 'blob'
    }
  | {
      type: 'url'
      url: string /** where old versions can be looked for, by a person, once the publisher has removed this one */
      archivedAt?: string
    }
  /** relative to the folder of the stack manifest */
  | { type: 'path'; path: string }
  /** a file of this tool's own installation, by the name under which it stands in the bundle */
  | { type: 'tool'; name: string }

/** A blob that has to be fetched (or copied) into its slot. */
export interface PlannedBlob {
  descriptor: Descriptor
  sources: Source[]
  /** small metadata that readers need first: stands at the front of the tar */
  front?: boolean
  /** also stands under this name in the tar (what a site needs to start); `mode` is its tar mode */
  file?: { path: string; mode: number }
}

/** A blob that is a pure function of the lock. */
export interface InlineBlob {
  descriptor: Descriptor
  bytes: Uint8Array
}

/** One entry of the bundle's index.json with all that hangs on it. */
export interface Artifact {
  /** with its annotations: ref.name and kind at least */
  root: Descriptor
  inline: InlineBlob[]
  blobs: PlannedBlob[]
}
