import { carriedLock } from '../lock/carried-lock.ts'
import type { Lock } from '../lock/schema.ts'
import { openBundles } from './open-bundles.ts'
import { findBundles } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

/** The locks of the bundles, in their order. Throws NOT_FOUND for a bundle without one, and what `openBundles` throws. */
export async function bundleLocks(options: SiteOptions): Promise<Lock[]> {
  const { paths, ...site } = await findBundles(options)
  await using opened = await openBundles(paths, { ...site, unknown: 'opened' })
  return await Promise.all(opened.bundles.map(({ store, path }) => carriedLock(store, path)))
}
