import { treesOf } from '../content/shards.ts'
import { readTree, type TreeEntries } from '../content/tree.ts'
import type { DeploymentTree } from '../install/steps/lay-down.ts'
import { mergedStore } from '../site/content.ts'
import type { OpenBundle } from './open-bundles.ts'

/** Returns the files of a tree such as `files`, from all bundles that carry it. Throws BUNDLE_CORRUPT. */
export async function treeEntries(bundles: readonly OpenBundle[], name: string): Promise<TreeEntries> {
  const all: TreeEntries = new Map()
  for (const { store } of bundles)
    for (const tree of treesOf(store.roots()))
      if (tree.name === name)
        for (const [path, entry] of await readTree(store, tree.roots)) all.set(path, entry)
  return all
}

/** Returns the trees named `tree/NAME`; of several bundles with the same one, that of the last. `charts`, of all bundles, are laid down next to the applications that install them. */
export function deploymentTrees(bundles: readonly OpenBundle[], charts: TreeEntries): DeploymentTree[] {
  const store = mergedStore(bundles.map(bundle => bundle.store))
  const trees = bundles.flatMap(bundle =>
    treesOf(bundle.store.roots()).flatMap(tree => {
      const name = /^tree\/([^/]+)$/.exec(tree.name)?.[1]
      return name === undefined ? [] : [{ name, store, roots: tree.roots, charts }]
    }),
  )
  return [...new Map(trees.map(tree => [tree.name, tree])).values()]
}
