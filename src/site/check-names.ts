import { MemoryStore } from '../content/memory-store.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { isErrorCode } from '../core/errors.ts'
import { collisionsOf } from './collisions.ts'
import type { SiteContent } from './content.ts'
import { type NamedRoot, namedRoots, siteImages } from './images.ts'
import type { Collisions } from './names.ts'
import { pushTargets } from './push-names.ts'

/**
 * Checks, before a bundle is built, that the site can serve its names and that `push` can copy them: one bad name there makes
 * the whole bundle unusable. Throws what `serve` or `push` would: NAME_COLLISION, UNSUPPORTED, BUNDLE_CORRUPT.
 */
export function checkNames(roots: readonly Descriptor[], collisions: Collisions): void {
  const named = namedRoots(roots)
  siteImages(new MemoryStore(), { named, collisions })
  checkPush(named, collisions)
}

/** The same for a finished bundle, with the collisions of the lock in it. */
export async function checkBundleNames(content: SiteContent): Promise<void> {
  checkNames(content.roots(), await collisionsOf([content]))
}

/** What `push` refuses, but not with `--keep-host`, is left to the person who pushes. */
function checkPush(named: readonly NamedRoot[], collisions: Collisions): void {
  const registry = { host: 'registry.invalid', prefix: '' }
  try {
    pushTargets(named, { registry, keepHost: false, collisions })
  } catch (error) {
    if (!isErrorCode(error, 'NAME_COLLISION')) throw error
    pushTargets(named, { registry, keepHost: true, collisions })
  }
}
