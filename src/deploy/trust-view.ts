import type { Digest } from '../core/digest.ts'
import type { PublicKey } from '../signature/public-key.ts'
import type { TrustedKey, TrustRecord } from '../site/trust-record.ts'
import type { OpenBundles } from './open-bundles.ts'
import type { BundleTrust } from './site-trust.ts'

/** A key as commands show it. */
export interface KeyView {
  /** null: of a key that the site does not have */
  name: string | null
  /** `SHA256:…`, as `ssh-keygen -l` prints it */
  fingerprint: string
  /** twenty hex digits, to compare */
  short: string
  /** the same as words, to read over the phone */
  words: string
}

/** How a bundle came to be trusted, as commands show it. */
export interface TrustView {
  by: BundleTrust['by']
  signedBy: KeyView[]
  /** keys that signed it as well, which nobody at this site has confirmed */
  unconfirmed: KeyView[]
  /** how many signatures the site requires; null where it has no key */
  threshold: number | null
  /** from its statement; null where it has none */
  built: string | null
  expires: string | null
  /** when it was installed first, and by which user; null before */
  accepted: { at: string; by: string } | null
}

/** What the operator should do about the keys of a site after an install. */
export interface TrustAdvice {
  /** keys that signed the bundles of a site that has no key: nobody has confirmed them, and the next bundle may be unsigned */
  unpinned: KeyView[]
  /** the site requires fewer signatures than its bundles have: null where it does not */
  spare: {
    required: number
    /** of all bundles, the fewest */
    signatures: number
    /** keys that the site has */
    keys: number
  } | null
}

export function trustAdvice({ bundles, record }: Pick<OpenBundles, 'bundles' | 'record'>): TrustAdvice {
  const strangers = new Map(
    bundles.flatMap(({ trust }) => trust.unconfirmed.map(key => [key.fingerprint, keyView(key, null)])),
  )
  if (record === undefined) return { unpinned: [...strangers.values()], spare: null }
  const counts = bundles.map(({ trust }) => trust.signers.length + trust.unconfirmed.length)
  const [signatures, required] = [Math.min(...counts), record.threshold]
  const isSpare = bundles.length > 0 && signatures > required
  return { unpinned: [], spare: isSpare ? { required, signatures, keys: record.keys.length } : null }
}

export function keyView<Name extends string | null>(
  { fingerprint, short, words }: PublicKey,
  name: Name,
): KeyView & { name: Name } {
  return { name, fingerprint, short, words }
}

export function trustView(
  { by, signers, unconfirmed, statement }: BundleTrust,
  { record, digest }: { record: TrustRecord | undefined; digest: Digest },
): TrustView {
  const accepted = record?.accepted.find(one => one.digest === digest)
  // the files next to an installed bundle are not read again
  const before = accepted === undefined ? [] : keysBy(record, accepted.keys)
  return {
    by,
    signedBy: (signers.length > 0 ? signers : before).map(({ key, name }) => keyView(key, name)),
    unconfirmed: unconfirmed.map(key => keyView(key, null)),
    threshold: record?.threshold ?? null,
    built: statement?.built ?? null,
    expires: statement?.expires ?? accepted?.expires ?? null,
    accepted: accepted === undefined ? null : { at: accepted.at, by: accepted.by },
  }
}

function keysBy(record: TrustRecord | undefined, fingerprints: readonly string[]): TrustedKey[] {
  const all = record === undefined ? [] : [...record.keys, ...record.retired]
  return all.filter(({ key }) => fingerprints.includes(key.fingerprint))
}
