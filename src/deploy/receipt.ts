import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson, compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Digest } from '../core/digest.ts'
import type { TrustRecord } from '../site/trust-record.ts'
import type { BundleIdentity } from './bundle-record.ts'
import { type OpenBundle, openBundles } from './open-bundles.ts'
import { findBundles } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'

/** What a site holds. No clock, no names of machines: the same bundles give the same receipt. */
export interface Receipt {
  receiptVersion: 1
  bundles: BundleIdentity[]
  /** which of its keys must have signed the next bundle, so that it can be signed with them; absent where the site has none */
  trust?: { threshold: number; keys: string[] }
  /** sorted, each once */
  blobs: Digest[]
}

/** Lists the bundles of a site and their blobs; `out`: also writes the list there. */
export async function siteReceipt(options: SiteOptions & { out?: string }, now: Date): Promise<Receipt> {
  const { paths, ...site } = await findBundles(options)
  await using opened = await openBundles(paths, { ...site, unknown: 'opened', now })
  const receipt: Receipt = { ...receiptOf(opened.bundles), ...defined({ trust: trustOf(opened.record) }) }
  if (options.out !== undefined) await writeAtomically(options.out, `${canonicalJson(receipt)}\n`)
  return receipt
}

function trustOf(record: TrustRecord | undefined): Receipt['trust'] {
  if (record === undefined) return undefined
  const { threshold, keys } = record
  return { threshold, keys: keys.map(({ key }) => key.fingerprint).sort(compareText) }
}

function receiptOf(bundles: readonly OpenBundle[]): Receipt {
  const blobs = new Set<Digest>()
  for (const { store } of bundles)
    for (const { type, digest } of store.entries())
      if (type === 'file' && digest !== undefined) blobs.add(digest)
  const byDigest = new Map(bundles.map(({ identity }) => [identity.digest, identity]))
  return {
    receiptVersion: 1,
    bundles: [...byDigest.values()].sort(
      (a, b) => compareText(a.name, b.name) || compareText(a.digest, b.digest),
    ),
    blobs: [...blobs].sort(),
  }
}
