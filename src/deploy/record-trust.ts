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
 * run pinned in the meantime stay.
 */
export async function pinConfirmedKeys(path: string, { record }: OpenBundles): Promise<void> {
  if (record !== undefined && (await readTrust(path)) === undefined) await writeTrust(path, record)
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
  for (const { path: bundle, identity, trust } of bundles) {
    if (record !== undefined && trust.by === 'known') record = withReinstalled(record, identity, { now, by })
    if (record === undefined || trust.by !== 'signed' || trust.statement === undefined) continue
    // again: keys may have been removed since the bundle was opened
    const keys = trust.signers.map(({ key }) => key)
    const signers = trustedSigners(record, keys, { path: bundle })
    record = withAccepted(record, trust.statement, { signers, now, by })
  }
  if (record !== undefined && record !== before) await writeTrust(path, record)
}
