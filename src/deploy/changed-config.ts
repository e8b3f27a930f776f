import { isDeepStrictEqual } from 'node:util'
import { AirgapError } from '../core/errors.ts'
import type { SiteConfig } from '../site/config.ts'

/**
 * Compares the configuration that a command read first with the one there is once it has the lock of the site: what another command wrote
 * while this one waited for a person must not be lost. Throws PLAN_CHANGED where they differ.
 */
export function refuseChangedConfig(
  siteFolder: string,
  { before, now }: { before: SiteConfig | undefined; now: SiteConfig | undefined },
): void {
  if (isDeepStrictEqual(before, now)) return
  throw new AirgapError('PLAN_CHANGED', 'the configuration of the site was changed meanwhile', {
    item: siteFolder,
    likely: 'another command, `bundles add` for example, ran in another terminal',
    next: 'run the same command again; nothing was changed by this one',
  })
}
