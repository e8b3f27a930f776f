import { AirgapError } from '../core/errors.ts'
import { findCarriedLock } from '../lock/carried-lock.ts'
import { readTrust, type TrustRecord, writeTrust } from '../site/trust-record.ts'
import { trustedSigners, withAccepted, withReinstalled } from '../site/trust-rules.ts'
import type { OpenBundles } from './open-bundles.ts'

interface Change {
  now: Date
  /** user name, for the record */
  by: string
}

/**
 * Stores the keys that the operator has confirmed for the first bundle of a site. The caller holds the lock of the site: keys that another
 * run pinned in the meantime stay. Throws PLAN_CHANGED where the site had no key when the bundles were opened, and has one now.
 */
export async function pinConfirmedKeys(path: string, { record }: OpenBundles): Promise<void> {
  const found = await readTrust(path)
  // the bundles were judged by a site without keys: an unsigned one would be installed
  if (record === undefined && found !== undefined) throw pinnedMeanwhile(path)
  if (record !== undefined && found === undefined) await writeTrust(path, record)
}

function pinnedMeanwhile(item: string): AirgapError {
  return new AirgapError('PLAN_CHANGED', 'the site got its first key while the plan was shown', {
    item,
    likely: 'another user ran `offline-deploy keys add` or `apply` in another terminal',
    next: 'run the same command again; nothing was changed by this one',
  })
}

/**
 * Remembers the bundles that the site installs from now on: none that is older will be accepted. One that it has installed before and
 * goes back to is remembered as well, or the servers could not open it. Throws UNTRUSTED.
 */
export async function recordAccepted(
  path: string,
  { bundles }: Pick<OpenBundles, 'bundles'>,
  { now, by }: Change,
): Promise<void> {
  const before = await readTrust(path)
  let record: TrustRecord | undefined = before
  for (const { path: bundle, identity, trust, store } of bundles) {
    if (record !== undefined && trust.by === 'known') record = withReinstalled(record, identity, { now, by })
    if (record === undefined || trust.by !== 'signed' || trust.statement === undefined) continue
    // again: keys may have been removed since the bundle was opened
    const keys = trust.signers.map(({ key }) => key)
    const signers = trustedSigners(record, keys, { path: bundle })
    const platforms = (await findCarriedLock(store, bundle))?.platforms
    record = withAccepted(record, trust.statement, { signers, platforms, now, by })
  }
  if (record !== undefined && record !== before) await writeTrust(path, record)
}
