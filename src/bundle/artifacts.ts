import { treesOf } from '../content/shards.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { annotationKeys, mediaTypes } from '../core/media-types.ts'

/** An artifact of index.json: an image, a chart, or a tree of files with all its shards. */
export interface BundleArtifact {
  kind: string
  /** ref.name, or the digest if it has none */
  name: string
  isTree: boolean
  roots: readonly Descriptor[]
}

/** Returns the artifacts of one bundle, the trees last. Throws BUNDLE_CORRUPT (content/shards.ts). */
export function artifactsOf(roots: readonly Descriptor[]): BundleArtifact[] {
  const others = roots
    .filter(root => root.artifactType !== mediaTypes.tree)
    .map(root => ({
      kind: root.annotations?.[annotationKeys.kind] ?? '',
      name: root.annotations?.[annotationKeys.refName] ?? root.digest,
      isTree: false,
      roots: [root],
    }))
  return [...others, ...treesOf(roots).map(tree => ({ ...tree, isTree: true }))]
}
