import type { z } from 'zod'
import type { Artifact } from '../content/artifact.ts'
import type { LayoutStore } from '../content/layout-store.ts'
import type { Digest } from '../core/digest.ts'
import type { Progress } from '../core/progress.ts'
import type { LockItem } from '../lock/schema.ts'
import type { HttpClient, RegistryClient } from '../remote/contract.ts'
import type { Component } from './component.ts'
import type { ManifestEntry } from './entry.ts'
import type { Mounts } from './mount.ts'
import type { PackageSet } from './package-set.ts'

/** What a kind may use while resolving: the only place that queries upstream. */
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
 * One kind of content: image, chart, file, deb, … Adding one is a folder, a line in index.ts and a test folder: every part of the
 * product that depends on the kind is a member here, and none is optional.
 * `Locked` is one item of the lockfile: enough, alone, to know the digest, size and sources of every byte.
 */
export interface Kind<
  Key extends string,
  Schema extends z.ZodType,
  Request extends { at: string },
  Locked extends LockItem,
> {
  /** key of its items in the lockfile, and annotation of its artifacts: `deb` */
  readonly name: string
  readonly entry: ManifestEntry<Key, Schema, Request>
  /** what the lock's digest of inputs covers: a lock with another digest is out of date */
  readonly inputs: {
    /** the part of a request that decides what is locked */
    of(request: Omit<Request, 'at'>): unknown
    /** `omitted` for every kind that was added to the first lockfiles later: manifests without it keep their digest */
    empty: 'counted' | 'omitted'
  }
  /** schema of an item in the lockfile, strict */
  readonly schema: z.ZodType<Locked>
  /** resolving takes a few small requests and hardly any memory, so that many can be resolved at the same time */
  readonly light: boolean
  resolve(request: Request, context: ResolveContext): Promise<Locked>
  /**
   * Writes content into the cache that upstream does not have as it is: what a source of type `created` names. Reproducible: the digests are
   * in the lock. `nothing` where all content is fetched.
   */
  create: 'nothing' | ((recipe: Record<string, string>, context: ResolveContext) => Promise<void>)
  /** Pure: all items of this kind in the lock → artifacts. No clock, no network, no file. */
  assemble(items: Locked[]): Artifact[]
  /** what `inspect BUNDLE …` lists its items under: `images`, `packages`; several kinds may share one */
  readonly section: string
  /** what people read in `inspect`, `plan` and `diff` */
  describe(item: Locked): ItemSummary[]
  /**
   * The packages of an item, each with the reason for it (`inspect BUNDLE why`); `requested` where an item has no dependencies: the
   * manifest requests what it describes.
   */
  packages: 'requested' | ((item: Locked) => PackageSet)
  /** its part of the bill of materials, for `packages` one for each in their order; none for content of the build host itself */
  components(item: Locked): Component[]
  /** what it is on the site */
  readonly mounts: Mounts
}

/** Infers the types of a kind from its parts. */
export function defineKind<
  const Key extends string,
  Schema extends z.ZodType,
  Request extends { at: string },
  Locked extends LockItem,
>(kind: Kind<Key, Schema, Request, Locked>): Kind<Key, Schema, Request, Locked> {
  return kind
}

export interface ItemSummary {
  /** unique in its kind: a reference, `name-version`, a path */
  name: string
  /** what lists show it under: `images`, `debs/ubuntu-22.04` */
  group: string
  /** the same in every version: `docker.io/library/x`, `jq:amd64`. Several versions can be carried at once */
  subject: string
  version?: string
  /** of its content; of the list of digests where it has several parts */
  digest: Digest
  platforms?: readonly string[]
  /** bytes of all content, each digest once */
  size: number
  /** where it is fetched from */
  source: string
  /** whose word its digest is: an OpenPGP key, a checksum in the manifest, an index */
  vouchedBy: string
  /** no publisher vouches for its digest (trust on first use) */
  firstUse?: boolean
  /** everything that the lock records about it, for comparisons */
  locked: unknown
}
