import type { z } from 'zod'
import type { Artifact } from '../content/artifact.ts'
import type { LayoutStore } from '../content/layout-store.ts'
import type { Progress } from '../core/progress.ts'
import type { LockItem } from '../lock/schema.ts'
import type { StackManifest } from '../manifest/stack.ts'
import type { HttpClient, RegistryClient } from '../remote/contract.ts'

/** What a kind may use while resolving: the only place that asks upstream. */
export interface ResolveContext {
  http: HttpClient
  registry: RegistryClient
  /** content fetched while locking: small metadata, and what publishers give no size or checksum for */
  cache: LayoutStore
  /** absolute folder of the manifest */
  folder: string
  progress: Progress
  /** for Valid-Until and the like */
  now: () => Date
  signal: AbortSignal
}

/**
 * One kind of content: image, chart, file, deb, tree. Adding one is a folder, a line in index.ts and a test folder.
 * `Locked` is what the lockfile says of one item: enough, alone, to know every byte's digest, size and sources.
 */
export interface Kind<Request extends { at: string }, Locked extends LockItem> {
  readonly name: string
  /** schema of an item in the lockfile, strict */
  readonly schema: z.ZodType<Locked>
  requests(manifest: StackManifest): Request[]
  resolve(request: Request, context: ResolveContext): Promise<Locked>
  /** Pure: all items of this kind in the lock → artifacts. No clock, no network, no file. */
  assemble(items: Locked[]): Artifact[]
  /** what people read in `inspect`, `plan` and `diff` */
  describe(item: Locked): ItemSummary[]
}

export interface ItemSummary {
  /** unique in its kind: a reference, `name-version`, a path */
  name: string
  version?: string
  /** bytes of all content, each digest once */
  size: number
  /** where it is fetched from */
  source: string
  /** known to nobody but the first fetch (trust on first use) */
  firstUse?: boolean
}
