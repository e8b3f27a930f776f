import { carriedLock } from '../lock/carried-lock.ts'
import type { Lock } from '../lock/schema.ts'
import { type OpenBundle, openBundles } from './open-bundles.ts'
import { findBundles } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

/** A trusted bundle with its lock, open as long as `use` runs. */
export interface InspectedBundle {
  path: string
  lock: Lock
  store: OpenBundle['store']
}

/** Opens the bundles and hands them over, in their order. Throws NOT_FOUND for a bundle without a lock, and what `openBundles` throws. */
export async function withBundles<T>(
  options: SiteOptions & { now: Date },
  use: (bundles: InspectedBundle[]) => Promise<T>,
): Promise<T> {
  const { paths, ...site } = await findBundles(options)
  await using opened = await openBundles(paths, { ...site, unknown: 'opened', now: options.now })
  const bundles = await Promise.all(
    opened.bundles.map(async ({ store, path }) => ({ path, store, lock: await carriedLock(store, path) })),
  )
  return await use(bundles)
}
