import { compareText } from '../core/canonical-json.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'
import { checkTreeName } from './artifact-names.ts'

/** A tree of files, as index.json lists it. */
export interface Tree {
  /** `files`, `debs/debian-12`, `tree/deployment` */
  name: string
  kind: string
  /** its manifest, or those of all its shards in order */
  roots: Descriptor[]
}

/**
 * Returns the trees among the roots of one bundle, sorted by name, each with all its shards. A shard is known by its
 * annotations, never by its name: `rpms/rocky-9.2` is a tree of its own, whatever other trees there are.
 *
 * Throws BUNDLE_CORRUPT for a name that no builder writes (artifact-names.ts), for two trees of one name, and for shards that do not
 * make up exactly one tree: a site that joined what it finds could be made to serve half a repository, or files of another.
 */
export function treesOf(roots: readonly Descriptor[]): Tree[] {
  const trees = new Map<string, Tree>()
  const shards = new Map<string, Shard[]>()
  for (const root of roots) {
    const shard = shardOf(root)
    if (root.artifactType !== mediaTypes.tree) {
      if (shard !== undefined) throw invalid('only a tree can have shards', shard.tree)
      continue
    }
    if (shard !== undefined) {
      const others = shards.get(shard.tree)
      if (others === undefined) shards.set(shard.tree, [shard])
      else others.push(shard)
      continue
    }
    const name = treeName(root.annotations?.[annotationKeys.refName])
    if (trees.has(name)) throw invalid('two trees have the same name', name)
    trees.set(name, { name, kind: kindOf(root), roots: [root] })
  }
  for (const [name, parts] of shards) {
    if (trees.has(name)) throw invalid('a tree is listed both whole and in shards', name)
    trees.set(name, joinShards(name, parts))
  }
  return [...trees.values()].sort((a, b) => compareText(a.name, b.name))
}

/** Returns the tree of that name; undefined if the bundle has none. Throws what `treesOf` throws. */
export function findTree(roots: readonly Descriptor[], name: string): Tree | undefined {
  return treesOf(roots).find(tree => tree.name === name)
}

interface Shard {
  root: Descriptor
  tree: string
  /** 1 to `count` */
  position: number
  count: number
}

/** Reads `io.astrago.airgap.tree` and `.shard` of a root; undefined if it has neither. */
function shardOf(root: Descriptor): Shard | undefined {
  const { [annotationKeys.tree]: tree, [annotationKeys.shard]: shard } = root.annotations ?? {}
  if (tree === undefined && shard === undefined) return undefined
  const name = treeName(tree)
  const [, position, count] = /^([1-9][0-9]{0,5})\/([1-9][0-9]{0,5})$/.exec(shard ?? '') ?? []
  const found = { root, tree: name, position: Number(position), count: Number(count) }
  if (root.annotations?.[annotationKeys.refName] !== `${name}+${position}`)
    throw invalid('a shard is not named after its tree', name)
  // a tree of one manifest has no annotation: it must have one form only
  if (position === undefined || found.count < 2 || found.position > found.count)
    throw invalid(`a shard has the invalid position ${JSON.stringify(shard?.slice(0, 40) ?? '')}`, name)
  return found
}

function joinShards(name: string, shards: readonly Shard[]): Tree {
  const { count, root } = shards[0]!
  const kind = kindOf(root)
  const byPosition = new Map<number, Descriptor>()
  for (const shard of shards) {
    if (shard.count !== count)
      throw invalid(`its shards disagree on their number: ${count}, ${shard.count}`, name)
    if (kindOf(shard.root) !== kind) throw invalid('its shards are of different kinds', name)
    if (byPosition.has(shard.position)) throw invalid(`it has shard ${shard.position} twice`, name)
    byPosition.set(shard.position, shard.root)
  }
  if (byPosition.size < count) throw invalid(`it has ${byPosition.size} of its ${count} shards`, name)
  const inOrder = [...byPosition].sort(([a], [b]) => a - b)
  return { name, kind, roots: inOrder.map(([, root]) => root) }
}

function kindOf(root: Descriptor): string {
  return root.annotations?.[annotationKeys.kind] ?? ''
}

function treeName(name: string | undefined): string {
  if (name === undefined) throw invalid('a tree has no name', 'index.json')
  return checkTreeName(name)
}

function invalid(what: string, item: string): AirgapError {
  return new AirgapError('BUNDLE_CORRUPT', `the index has an invalid tree: ${what}`, {
    item: item.slice(0, 300),
    likely: 'another program or another version of airgap made the bundle, or it was changed',
    next: 'do not use it; copy it again from where it was built, or rebuild it',
  })
}
