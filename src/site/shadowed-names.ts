import type { SiteContent } from './content.ts'
import { namedRoots } from './images.ts'
import { mountOf } from './site-view.ts'
import { uniteTrees } from './united-trees.ts'

/** A name that several bundles have with different content: the last of them is served. */
export interface ShadowedName {
  kind: 'image' | 'file'
  /** of an image or chart, or a URL path */
  name: string
  /** position of the bundle that is served under this name */
  by: number
}

/** Returns what the bundles, in this order, shadow of each other. Throws NAME_COLLISION, BUNDLE_CORRUPT. */
export async function shadowedNames(contents: readonly SiteContent[]): Promise<ShadowedName[]> {
  const shadowed = new Map<string, ShadowedName>()
  const digests = new Map<string, string>()
  for (const [by, content] of contents.entries())
    for (const { root, name, reference, chart } of namedRoots(content.roots())) {
      if (reference?.tag === undefined && chart === undefined) continue
      const before = digests.get(name)
      digests.set(name, root.digest)
      if (before !== undefined && before !== root.digest)
        shadowed.set(`image ${name}`, { kind: 'image', name, by })
    }
  await uniteTrees(contents, mountOf, {
    replaced: ({ path, by }) => void shadowed.set(`file ${path}`, { kind: 'file', name: path, by }),
  })
  return [...shadowed.values()]
}
