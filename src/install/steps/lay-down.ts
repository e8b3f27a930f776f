import { join } from 'node:path'
import type { ReadableStore } from '../../content/store.ts'
import { readTree, type TreeEntries } from '../../content/tree.ts'
import { defined } from '../../core/defined.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import type { Digest } from '../../core/digest.ts'
import { deploymentFile } from '../deployment.ts'
import { isLaidDown, layDown } from '../lay-down.ts'
import { layDownRecordOf } from '../lay-down-record.ts'
import type { Step } from '../step.ts'

/** A deployment tree of a bundle. */
export interface DeploymentTree {
  name: string
  store: ReadableStore
  roots: readonly Descriptor[]
  /** chart archives for `charts/` of a tree that installs applications; their content is in `store` too */
  charts?: TreeEntries
  /** files in which this run merged the site's changes with a new version: path → digest of the merged file */
  merged?: ReadonlyMap<string, Digest>
}

/** Lays down `tree/NAME` of the bundle as `deploy/NAME`, and keeps the changes that people made there. */
export function layDownStep(options: { trees: readonly DeploymentTree[]; folder: string }): Step {
  const { trees, folder } = options
  const entriesOf = new Map<string, Promise<TreeEntries>>()
  const read = (tree: DeploymentTree) => {
    let entries = entriesOf.get(tree.name)
    if (entries === undefined) {
      entries = readWithCharts(tree)
      entriesOf.set(tree.name, entries)
    }
    return entries
  }
  return {
    id: 'lay-down',
    title: 'Lay down the deployment tree',
    needs: ['verify'],
    inputs: {
      folder,
      trees: trees.map(({ name, roots, charts = new Map() }) =>
        defined({
          name,
          roots: roots.map(root => root.digest),
          charts:
            charts.size === 0
              ? undefined
              : [...charts].map(([file, { descriptor }]) => [file, descriptor.digest]),
        }),
      ),
    },
    async describe() {
      if (trees.length === 0) return ['nothing to do: the bundle has no deployment tree']
      return await Promise.all(
        trees.map(
          async tree =>
            `write ${(await read(tree)).size} files to ${join(folder, tree.name)}; keep files that were changed there`,
        ),
      )
    },
    async check() {
      for (const tree of trees) {
        if (!(await isLaidDown(await read(tree), placeOf(tree)))) return 'pending'
      }
      return 'done'
    },
    async apply({ progress, signal }) {
      for (const tree of trees) {
        const done = await layDown(tree.store, await read(tree), { ...placeOf(tree), progress, signal })
        tree.merged = done.merged
        progress.note(
          `lay-down: ${join(folder, tree.name)}: ${done.written} written, ${done.unchanged} unchanged, ${done.merged.size} merged, ${done.kept.length} kept, ${done.removed} removed`,
        )
      }
    },
  }

  function placeOf(tree: DeploymentTree): { folder: string; record: string } {
    return { folder: join(folder, tree.name), record: layDownRecordOf(folder, tree.name) }
  }
}

async function readWithCharts({ store, roots, charts = new Map() }: DeploymentTree): Promise<TreeEntries> {
  const entries = await readTree(store, roots)
  if (!entries.has(deploymentFile)) return entries
  for (const [file, entry] of charts) {
    const path = `charts/${file}`
    if (!entries.has(path)) entries.set(path, entry)
  }
  return entries
}
