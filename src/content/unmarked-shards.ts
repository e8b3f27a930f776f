import { compareText } from '../core/canonical-json.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import type { ReadableStore } from './store.ts'
import { readTree } from './tree.ts'

/** Files in each shard but the last. */
const filesPerShard = 8_000
/** Less than one file takes in a manifest: digest, media type and size alone are more. */
const bytesPerFile = 100

/**
 * Throws BUNDLE_VERSION for a tree that an early development version of airgap split into `NAME`, `NAME.2`, … without
 * annotations: they would be read as trees of their own, and a site would serve half a repository. `rocky-9.2` beside `rocky-9` is
 * such a pair only if the first is full and the second continues it.
 */
export async function refuseUnmarkedShards(
  store: ReadableStore & { roots(): readonly Descriptor[] },
  item: string,
): Promise<void> {
  const trees = new Map<string, Descriptor>()
  for (const root of store.roots()) {
    const { [annotationKeys.tree]: tree, [annotationKeys.refName]: name } = root.annotations ?? {}
    if (root.artifactType === mediaTypes.tree && tree === undefined && name !== undefined)
      trees.set(name, root)
  }
  for (const [name, root] of trees) {
    const next = trees.get(`${name}.2`)
    if (next === undefined || root.size < filesPerShard * bytesPerFile) continue
    if (kindOf(root) === kindOf(next) && (await continues(store, [root, next]))) throw unmarked(name, item)
  }
}

/** Shards had the files of one sorted list. */
async function continues(store: ReadableStore, [first, second]: [Descriptor, Descriptor]): Promise<boolean> {
  const paths = [...(await readTree(store, [first])).keys()]
  if (paths.length !== filesPerShard) return false
  const [after] = (await readTree(store, [second])).keys()
  return after !== undefined && compareText(paths.at(-1)!, after) < 0
}

function kindOf(root: Descriptor): string | undefined {
  return root.annotations?.[annotationKeys.kind]
}

function unmarked(name: string, item: string): AirgapError {
  return new AirgapError(
    'BUNDLE_VERSION',
    `the bundle was built by an earlier development version of airgap: ${name} is in parts that this version reads as separate trees`,
    {
      item,
      likely: `it has ${name} and ${name}.2 with more than 8,000 files`,
      next: 'rebuild it with `airgap build` of this version, from the same lockfile',
    },
  )
}
