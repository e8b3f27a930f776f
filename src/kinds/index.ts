import { z } from 'zod'
import type { Artifact } from '../content/artifact.ts'
import { AirgapError } from '../core/errors.ts'
import { formatReference, type Reference } from '../core/reference.ts'
import type { LockItem } from '../lock/schema.ts'
import { chartKind } from './chart/index.ts'
import type { Component } from './component.ts'
import { debKind } from './deb/index.ts'
import type { LoadContext } from './entry.ts'
import { fileKind } from './file/index.ts'
import { gitKind } from './git/index.ts'
import { imageKind } from './image/index.ts'
import type { ItemSummary, Kind, ResolveContext } from './kind.ts'
import type { Mounts } from './mount.ts'
import type { PackageSet } from './package-set.ts'
import { rpmKind } from './rpm/index.ts'
import { treeKind } from './tree/index.ts'
import { wheelKind } from './wheel/index.ts'

/** The one list of kinds, in the order in which they are loaded, resolved and shown. */
const list = [imageKind, chartKind, fileKind, debKind, rpmKind, wheelKind, gitKind, treeKind] as const

type AnyOf = (typeof list)[number]

/** The lists of entries that a manifest and each of its variants have. */
export type EntrySchemas = {
  [K in AnyOf as K['entry']['key']]: z.ZodDefault<z.ZodArray<K['entry']['schema']>>
}

export const entrySchemas = Object.fromEntries(
  list.map(({ entry }) => [entry.key, z.array(entry.schema).default([])]),
) as unknown as EntrySchemas

/** The requests of each kind, under the key of its entries. */
export type Requests = {
  [K in AnyOf as K['entry']['key']]: Awaited<ReturnType<K['entry']['load']>>
}

/** A kind with its own types closed over: what the use cases see. */
export interface AnyKind {
  readonly name: string
  readonly entry: {
    readonly key: keyof Requests
    readonly starter: string
    load(entries: readonly unknown[], context: LoadContext): Promise<{ at: string }[]>
  }
  /** What the digest of inputs covers of a manifest's requests; undefined where nothing is requested and that is not counted. */
  inputs(requests: Requests): unknown[] | undefined
  readonly light: boolean
  /** `label` is for people: the name of the entry */
  jobs(
    requests: Requests,
  ): { at: string; label: string; resolve(context: ResolveContext): Promise<LockItem> }[]
  create: 'nothing' | ((recipe: Record<string, string>, context: ResolveContext) => Promise<void>)
  assemble(items: unknown[]): Artifact[]
  readonly section: string
  describe(items: unknown[]): ItemSummary[]
  packageSets(items: unknown[]): (PackageSet & { items: ItemSummary[] })[]
  components(items: unknown[]): Component[]
  readonly mounts: Mounts
}

export const kinds: readonly AnyKind[] = list.map(kind => erase(kind as unknown as SomeKind))

/** Any one of the list: its members take what its own loader and its own schema return. */
type SomeKind = Kind<keyof Requests, z.ZodType, { at: string }, LockItem>

function erase(kind: SomeKind): AnyKind {
  const { entry, inputs } = kind
  const requestsOf = (requests: Requests): readonly { at: string }[] => requests[entry.key]
  const parse = (items: unknown[]) => items.map(item => parseItem(kind, item))
  return {
    name: kind.name,
    light: kind.light,
    entry: {
      key: entry.key,
      starter: entry.starter,
      load: async (entries, context) => await entry.load(entries, context),
    },
    inputs(requests) {
      const own = requestsOf(requests)
      if (own.length === 0 && inputs.empty === 'omitted') return undefined
      return own.map(({ at, ...request }) => inputs.of(request))
    },
    jobs: requests =>
      requestsOf(requests).map(request => ({
        at: request.at,
        label: labelOf(request),
        resolve: context => kind.resolve(request, context),
      })),
    create: kind.create,
    assemble: items => kind.assemble(parse(items)),
    section: kind.section,
    describe: items => parse(items).flatMap(item => kind.describe(item)),
    packageSets(items) {
      const { packages } = kind
      if (packages === 'requested') return []
      return parse(items).map(item => ({ ...packages(item), items: kind.describe(item) }))
    },
    components: items => parse(items).flatMap(item => kind.components(item)),
    mounts: kind.mounts,
  }
}

/** The name, reference or path of what is requested; its place in the manifest where it has none. */
function labelOf(request: { at: string }): string {
  const { name, path, reference } = request as { name?: unknown; path?: unknown; reference?: Reference }
  if (reference !== undefined) return formatReference(reference)
  return [name, path].find(text => typeof text === 'string') ?? request.at
}

function parseItem(kind: SomeKind, item: unknown): LockItem {
  const parsed = kind.schema.safeParse(item)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new AirgapError(
    'LOCK_INVALID',
    `the lock has a malformed ${kind.name}: ${issue?.path.join('.')}: ${issue?.message}`,
    {
      item: typeof item === 'object' && item && 'name' in item ? String(item.name) : kind.name,
      next: 'create the lock again with `airgap lock`',
    },
  )
}
