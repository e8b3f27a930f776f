import { type VerifyReport, verifyBundle } from '../bundle/verify.ts'
import type { Progress } from '../core/progress.ts'
import { checkBundleNames } from '../site/check-names.ts'
import { pathsOf, type SiteState } from '../site/state.ts'
import { type OpenBundle, openBundles } from './open-bundles.ts'
import { refreshVerdicts } from './reload-servers.ts'
import { cameWith, runningProgram } from './self-check.ts'
import { findBundles } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'
import { keepVerified } from './site-verdicts.ts'
import { type TrustView, trustView } from './trust-view.ts'

/** A good bundle, and how far the site trusts it. */
export interface VerifiedBundle extends VerifyReport {
  trust: TrustView
  /** whether this program came with the bundle, and so cannot vouch for itself */
  verifiesItself: boolean
}

/**
 * Reads every byte of the bundles, and checks that a site can serve the names of each. Throws DIGEST_MISMATCH, BUNDLE_CORRUPT,
 * NAME_COLLISION, and what `openBundles` throws for signatures.
 */
export async function verifyBundles(
  options: SiteOptions,
  run: { progress: Progress; signal: AbortSignal; now: () => Date },
): Promise<VerifiedBundle[]> {
  const { paths, ...site } = await findBundles(options)
  await using opened = await openBundles(paths, { ...site, unknown: 'opened', now: run.now() })
  const reports: VerifiedBundle[] = []
  for (const bundle of opened.bundles) {
    const report = await verifyOpenBundle(bundle, { ...run, paths: pathsOf(site.siteFolder) })
    await checkBundleNames(bundle.store)
    const trust = trustView(bundle.trust, { record: opened.record, digest: bundle.identity.digest })
    const verifiesItself = await cameWith(bundle, { siteFolder: site.siteFolder, program: runningProgram() })
    reports.push({ ...report, trust, verifiesItself })
  }
  return reports
}

/**
 * Reads the file that is open, which stays open. The digest is expected again: the front of the file, from which everything else is
 * checked, may have been changed since the bundle was opened and trusted. The servers of the site know the result.
 */
export async function verifyOpenBundle(
  bundle: OpenBundle,
  run: { progress: Progress; signal: AbortSignal; paths: SiteState['paths']; now: () => Date },
): Promise<VerifyReport> {
  const since = Date.now()
  const report = await verifyBundle(bundle.source, {
    expect: bundle.identity.digest,
    progress: run.progress,
    signal: run.signal,
  })
  await keepVerified(bundle, { paths: run.paths, since, now: run.now })
  // they find it in their file after the next start all the same
  await refreshVerdicts(run.paths, { bundle: bundle.identity.digest, signal: run.signal }).catch(() => {})
  return report
}
