import { walkGraph } from '../bundle/graph.ts'
import { treesOf } from '../content/shards.ts'
import { readTree, type TreeEntries } from '../content/tree.ts'
import { parsePlatform } from '../core/platform.ts'
import type { Expected } from '../install/preflight/subject.ts'
import { findCarriedLock } from '../lock/carried-lock.ts'
import { mergedStore } from '../site/content.ts'
import { namedRoots } from '../site/images.ts'
import type { OpenBundle } from './open-bundles.ts'

/** What the bundles bring to the machines, as far as preflight compares it with them. */
export async function carriedContent(
  bundles: readonly OpenBundle[],
): Promise<Pick<Expected, 'repositories' | 'architectures' | 'imageBytes' | 'packageBytes'>> {
  const store = mergedStore(bundles.map(bundle => bundle.store))
  const roots = bundles.flatMap(bundle => bundle.store.roots())
  const packageBytes = new Map<string, number>()
  for (const { name, roots: shards } of bundles.flatMap(bundle => treesOf(bundle.store.roots()))) {
    const repository = /^(?:debs|rpms)\/([^/]+)$/.exec(name)?.[1]
    if (repository === undefined) continue
    const size = sizeOf(await readTree(store, shards))
    packageBytes.set(repository, (packageBytes.get(repository) ?? 0) + size)
  }
  const images = namedRoots(roots).flatMap(({ kind, root }) => (kind === 'image' ? [root] : []))
  const { reached } = await walkGraph(store, images)
  const bytes = [...reached.values()].reduce((sum, { size }) => sum + size, 0)
  const architectures = await architecturesOf(bundles)
  return {
    repositories: [...packageBytes.keys()].sort(),
    packageBytes,
    architectures,
    // a machine pulls one platform of each image
    imageBytes: Math.ceil(bytes / Math.max(architectures?.length ?? 1, 1)),
  }
}

/** Undefined where a bundle has no lock to name them. */
async function architecturesOf(bundles: readonly OpenBundle[]): Promise<string[] | undefined> {
  const found = new Set<string>()
  for (const { store, path } of bundles) {
    const lock = await findCarriedLock(store, path)
    if (lock === undefined) return undefined
    for (const platform of lock.platforms) found.add(parsePlatform(platform).architecture)
  }
  return [...found]
}

/** Bytes of a tree's files; content that several files share counts once. */
export function sizeOf(entries: TreeEntries): number {
  const sizes = new Map([...entries.values()].map(({ descriptor }) => [descriptor.digest, descriptor.size]))
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}
