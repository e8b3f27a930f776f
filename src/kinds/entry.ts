import type { z } from 'zod'
import type { Platform } from '../core/platform.ts'
import type { SecretQueries } from '../core/secret-queries.ts'
import type { Mistakes } from '../document/mistakes.ts'

/** What a kind reads from the stack manifest: a list of entries under a key of its own, in the manifest and in each variant. */
export interface ManifestEntry<Key extends string, Schema extends z.ZodType, Request extends { at: string }> {
  /** key of the list in the manifest, and of its requests in `StackManifest`: `images` */
  readonly key: Key
  /** schema of one entry as a person writes it; strict */
  readonly schema: Schema
  /** what `airgap init` writes, with an example of every key: YAML, each line ends with a newline */
  readonly starter: string
  /**
   * Entries → requests: lists read, paths absolute, defaults filled in, equal entries merged. Reports all mistakes to
   * `context.mistakes`.
   */
  load(entries: readonly z.infer<Schema>[], context: LoadContext): Request[] | Promise<Request[]>
}

export interface LoadContext {
  /** `file:line:column` of entry `index`, or of the value at a path inside it */
  at(index: number, ...path: readonly PropertyKey[]): string
  /** absolute folder of the manifest: relative paths start here */
  folder: string
  /** platforms of the stack */
  platforms: readonly Platform[]
  /** `kept`: registries named by a private address are reported later, all together */
  privateAddresses: 'refused' | 'kept'
  mistakes: Mistakes
  /** credentials that were taken off the URLs of the entries before `load` sees them */
  secretQueries: SecretQueries
  /** Excuses an item from being unused. */
  excuse(excuse: Excuse): void
}

/** A finding of `airgap images` that is known and intended. */
export interface Excuse {
  at: string
  /** an image, fully spelled, or a URL */
  name: string
  reason: string
}

/** Infers the types of an entry from its key, schema and loader. */
export function manifestEntry<
  const Key extends string,
  Schema extends z.ZodType,
  Request extends { at: string },
>(entry: ManifestEntry<Key, Schema, Request>): ManifestEntry<Key, Schema, Request> {
  return entry
}
