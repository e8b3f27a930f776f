import { readAll } from '../content/read.ts'
import { treesOf } from '../content/shards.ts'
import type { ReadableStore } from '../content/store.ts'
import { readTree, type TreeEntries } from '../content/tree.ts'
import { digestOf } from '../core/digest.ts'
import { mediaTypes } from '../core/media-types.ts'
import type { HttpMount } from '../kinds/mount.ts'
import type { SiteContent } from './content.ts'

/** One tree of all bundles that have it. */
export interface UnitedTree {
  /** the union; what was merged has the descriptor of the merged text */
  entries: TreeEntries
  /** path → merged text, which is in no bundle: united lists of packages */
  documents: Map<string, Buffer>
}

/** Lists of packages; a larger document is not one of ours. */
export const maxDocument = 512 << 20 /* bytes */

/**
 * Returns the trees of all bundles that a kind serves, by name. Where a path has other content in a later bundle, that wins (`replaced` is called
 * with it), except where the kind merges the versions. Throws NAME_COLLISION, BUNDLE_CORRUPT.
 */
export async function uniteTrees(
  contents: readonly SiteContent[],
  mountOf: (tree: string) => HttpMount | undefined,
  { replaced = () => {} }: { replaced?: (file: ReplacedFile) => void } = {},
): Promise<Map<string, UnitedTree>> {
  const parts = new Map<string, Part[]>()
  for (const [bundle, content] of contents.entries()) {
    for (const tree of treesOf(content.roots())) {
      if (mountOf(tree.name) === undefined) continue
      const part = { bundle, store: content, entries: await readTree(content, tree.roots) }
      const others = parts.get(tree.name)
      if (others === undefined) parts.set(tree.name, [part])
      else others.push(part)
    }
  }
  const united = new Map<string, UnitedTree>()
  for (const [name, trees] of parts)
    united.set(name, await unite(trees, { name, merge: mountOf(name)!.merge, replaced }))
  return united
}

/** A file of which two bundles have different content. */
export interface ReplacedFile {
  /** URL path */
  path: string
  /** position of the bundle whose content is served */
  by: number
}

interface Part {
  bundle: number
  store: ReadableStore
  entries: TreeEntries
}

async function unite(
  [first, ...others]: Part[],
  {
    name,
    merge,
    replaced,
  }: { name: string; merge: HttpMount['merge']; replaced: (file: ReplacedFile) => void },
): Promise<UnitedTree> {
  const entries: TreeEntries = new Map(first!.entries)
  const documents = new Map<string, Buffer>()
  let known: Pick<Part, 'store' | 'entries'> = first!
  for (const part of others) {
    for (const [path, entry] of part.entries) {
      const other = entries.get(path)
      if (other === undefined || other.descriptor.digest === entry.descriptor.digest) {
        entries.set(path, entry)
        continue
      }
      const item = `/${name}/${path}`
      const merged = merge(item, [
        documents.get(path) ?? (await textOf(known.store, { path, entries })),
        await textOf(part.store, { path, entries: part.entries }),
      ])
      if (merged === undefined) {
        replaced({ path: item, by: part.bundle })
        entries.set(path, entry)
        documents.delete(path)
        continue
      }
      documents.set(path, merged)
      const descriptor = { mediaType: mediaTypes.octets, digest: digestOf(merged), size: merged.length }
      entries.set(path, { ...entry, descriptor })
    }
    known = { store: eitherOf(known.store, part.store), entries }
  }
  return { entries, documents }
}

async function textOf(
  store: ReadableStore,
  { path, entries }: { path: string; entries: TreeEntries },
): Promise<Buffer> {
  return await readAll(store, entries.get(path)!.descriptor, maxDocument)
}

function eitherOf(first: ReadableStore, second: ReadableStore): ReadableStore {
  return {
    exists: async descriptor => (await first.exists(descriptor)) || (await second.exists(descriptor)),
    open: async (descriptor, range) =>
      (await first.exists(descriptor)) ? first.open(descriptor, range) : second.open(descriptor, range),
  }
}
