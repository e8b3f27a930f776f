import type { Platform } from '../core/platform.ts'
import type { Reference } from '../core/reference.ts'

/**
 * The manifest as the program uses it: lists read in, names parsed, paths made absolute, defaults filled in.
 * `at` is `file:line:column` of what was written, for messages.
 */
export interface StackManifest {
  /** absolute path of the manifest */
  file: string
  /** absolute folder that relative paths are meant from */
  folder: string
  name: string
  version: string
  platforms: Platform[]
  sources: SourceRemap[]
  images: ImageRequest[]
  charts: ChartRequest[]
  files: FileRequest[]
  debs: DebRequest[]
  trees: TreeRequest[]
  collisions: Record<string, string>
  firstUse: 'allow' | 'refuse'
}

export interface SourceRemap {
  from: string
  to: string[]
}

export interface ImageRequest {
  at: string
  /** the name it is deployed under */
  reference: Reference
  /** where it is fetched from; equal to `reference` unless remapped */
  from: Reference
  platforms: Platform[]
  referrers: boolean
  foreignLayers: 'refuse' | 'fetch'
}

export interface ChartRequest {
  at: string
  name: string
  repo: string
  version: string
  /** hex */
  sha256?: string
}

export interface FileRequest {
  at: string
  url: string
  /** relative path under /files */
  path: string
  executable: boolean
  /** hex */
  sha256?: string
}

export interface DebRequest {
  at: string
  name: string
  archive: string
  suite: string
  components: string[]
  architectures: string[]
  /** absolute paths of OpenPGP public keys */
  keys: string[]
  /** for the digest of inputs, which does not depend on where the manifest stands */
  keysAsWritten: string[]
  /** sorted, without duplicates: `name` or `name=version` */
  packages: string[]
  recommends: boolean
}

export interface TreeRequest {
  at: string
  name: string
  /** as written, relative to the manifest's folder */
  from: string
  /** absolute */
  folder: string
  exclude: string[]
}
