import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { refuseExpired } from '../signature/expiry.ts'
import type { PublicKey } from '../signature/public-key.ts'
import { unsignedBundle } from '../signature/refusals.ts'
import type { Statement } from '../signature/statement.ts'
import { pathsOf } from '../site/state.ts'
import { withKey } from '../site/trust-changes.ts'
import { readTrust, type TrustedKey, type TrustRecord } from '../site/trust-record.ts'
import { isAmong, isSameVersion, namesOf, refuseRollback, trustedSigners } from '../site/trust-rules.ts'
import { type BundleIdentity, knownBundles } from './bundle-record.ts'
import type { SignedBundle } from './bundle-trust.ts'
import { isNamed, readTrustKeys, type TrustKeys } from './trust-keys.ts'

/** How a bundle came to be trusted. */
export interface BundleTrust {
  /**
   * signed: by enough keys of the site; known: the site was set up with it; expected: the operator named its digest; nothing: the site has
   * no key yet
   */
  by: 'signed' | 'known' | 'expected' | 'nothing'
  /** keys of the site that signed it */
  signers: TrustedKey[]
  /** keys that signed it, which nobody at this site has confirmed */
  unconfirmed: PublicKey[]
  statement?: Statement
}

/** A person compares the fingerprint of a key with the one that the builder of the bundle reads to them. */
export type ConfirmKey = (
  key: PublicKey,
  bundle: { path: string; identity: BundleIdentity },
) => Promise<boolean>

/** For a site that has no key yet: the key of its first signed bundle is pinned. */
export interface FirstKey {
  /** undefined without a terminal */
  confirm: ConfirmKey | undefined
  /** user name, for the record */
  by: string
}

/** What a site trusts while it opens bundles. */
export interface SiteTrust {
  known: readonly BundleIdentity[]
  record: TrustRecord | undefined
  /** whether the record is not in the state folder yet */
  pending: boolean
  /** keys that the operator named */
  named: TrustKeys
  expect: readonly Digest[]
  unknown: 'opened' | 'refused'
  /** whether the operator goes back to an older bundle deliberately */
  allowOlder: boolean
  now: Date
  first: FirstKey | undefined
}

/** What a site expects of the bundles that it opens. */
export interface BundleExpectation {
  /** knows the bundles that the site was set up with and has installed */
  siteFolder: string
  /** index digests that the operator named: each bundle must have one of them, whatever the site knows */
  expect: readonly Digest[]
  /** whether a bundle that the site does not know is opened: not by commands that work on what is installed */
  unknown: 'opened' | 'refused'
  /** files or fingerprints of keys: pinned where the site has no key yet */
  trustKey?: readonly string[] | undefined
  /** whether the operator goes back to an older bundle deliberately; its digest must be named, too */
  allowOlder?: boolean | undefined
  now: Date
  /** for commands that install: the key of the first signed bundle is confirmed, and pinned */
  first?: FirstKey | undefined
}

/** Throws TRUST_INVALID, and USAGE for a --trust-key that the site does not have. */
export async function readSiteTrust(expectation: BundleExpectation): Promise<SiteTrust> {
  const { siteFolder, expect, unknown, trustKey = [], allowOlder = false, now, first } = expectation
  const paths = pathsOf(siteFolder)
  const known = await knownBundles(siteFolder)
  const record = await readTrust(paths.trust)
  const named = await readTrustKeys(trustKey)
  if (record === undefined && known.some(({ signedBy }) => signedBy !== undefined))
    throw missingRecord(paths.trust)
  if (record !== undefined) refuseOtherKeys(record, named, paths.trust)
  return { known, record, pending: false, named, expect, unknown, allowOlder, now, first }
}

/** Deleting the file must not bring back the time when the site accepted unsigned bundles. */
function missingRecord(item: string): AirgapError {
  return new AirgapError('TRUST_INVALID', 'the record of trusted keys is missing', {
    item,
    likely: 'it was deleted: this site has installed signed bundles',
    next: 'restore it from a backup of the state folder, or pin each key again with `offline-deploy keys add FILE`, comparing its fingerprint over the phone; then set how many must sign, with `offline-deploy keys threshold N`',
  })
}

function refuseOtherKeys(
  { keys }: TrustRecord,
  { keys: files, fingerprints }: TrustKeys,
  item: string,
): void {
  const other =
    files.find(
      key =>
        !isAmong(
          key,
          keys.map(one => one.key),
        ),
    )?.short ??
    fingerprints.find(text => !keys.some(({ key }) => isNamed(key, { keys: [], fingerprints: [text] })))
  if (other === undefined) return
  throw new AirgapError('USAGE', 'this site has its keys already, and the named key is not one of them', {
    item: `--trust-key ${other}`,
    likely: `it trusts ${namesOf(keys)} (${item})`,
    next: 'leave --trust-key out, which is for the first bundle of a site; to trust another key, run `offline-deploy keys add FILE`',
  })
}

/** Keys that may have signed a bundle: also those that are no longer trusted, so that a message can name them. */
export function candidateKeys({ record, named }: SiteTrust): PublicKey[] {
  if (record === undefined) return named.keys
  return [...record.keys, ...record.retired].map(({ key }) => key)
}

interface Judged {
  path: string
  identity: BundleIdentity
  signed: SignedBundle | undefined
  /** what its lock says it is for; read only once the bundle is trusted */
  platforms: () => Promise<string[] | undefined>
}

/**
 * Decides whether the site trusts a bundle. A site without keys pins those that the operator named or confirms (`site.record`, which the
 * caller stores). Throws UNTRUSTED, ROLLBACK, EXPIRED, CLOCK_WRONG, USAGE.
 */
export async function judgeBundle(site: SiteTrust, bundle: Judged): Promise<BundleTrust> {
  const { path, identity, signed } = bundle
  const isKnown = site.known.some(({ digest }) => digest === identity.digest)
  const named = site.expect.includes(identity.digest)
  if (site.record === undefined || site.pending) await pinKeys(site, bundle, { isKnown, named })
  const { record, now } = site
  const about = { ...identity, index: identity.digest, ...timesOf(signed) }
  if (record === undefined) {
    if (!isKnown && signed !== undefined && isSigned(signed))
      refuseExpired(signed.statement, { path, now, latest: null })
    return trustBy(named ? 'expected' : isKnown ? 'known' : 'nothing', { signed, signers: [] })
  }
  const makers = signed === undefined ? [] : [...signed.signers, ...signed.strangers]
  const refuseOlder = (platforms?: string[]) => {
    if (site.unknown === 'opened')
      refuseRollback(record, { ...about, platforms }, { path, deliberate: named && site.allowOlder })
  }
  // another architecture of this version may have been built before: what the bundle itself says counts after its signature
  const isUndecided = isSameVersion(record, about)
  if (!isUndecided) refuseOlder()
  // pinned by its digest: it stays usable after its key was replaced, and after it expired
  if (isKnown && !site.pending) {
    const signers = record.keys.filter(({ key }) => isAmong(key, makers))
    if (isUndecided) refuseOlder(await bundle.platforms())
    return trustBy('known', { signed, signers })
  }
  if (signed === undefined || !isSigned(signed)) throw unsigned(record, path)
  const signers = trustedSigners(record, makers, { path })
  refuseExpired(signed.statement, { path, now, latest: record.latest })
  if (isUndecided) refuseOlder(await bundle.platforms())
  return trustBy('signed', { signed, signers })
}

function timesOf(signed: SignedBundle | undefined): { built: string | null } {
  return { built: signed?.statement.built ?? null }
}

function isSigned({ signers, strangers, hints }: SignedBundle): boolean {
  return signers.length + strangers.length + hints.length > 0
}

function trustBy(
  by: BundleTrust['by'],
  { signed, signers }: { signed: SignedBundle | undefined; signers: TrustedKey[] },
): BundleTrust {
  const confirmed = signers.map(({ key }) => key)
  const unconfirmed = (signed?.strangers ?? []).filter(key => !isAmong(key, confirmed))
  if (signed === undefined) return { by, signers, unconfirmed }
  return { by, signers, unconfirmed, statement: signed.statement }
}

function unsigned({ keys }: TrustRecord, item: string): AirgapError {
  return unsignedBundle(item, {
    at: ', and this site accepts signed bundles only',
    next: `copy all files whose names start with ${item.slice(item.lastIndexOf('/') + 1)}, or have it signed with ${namesOf(keys)} (\`airgap sign\`)`,
  })
}

/** The first signed bundle of a site: trust on first use, and a person confirms it. */
async function pinKeys(
  site: SiteTrust,
  bundle: Judged,
  { isKnown, named }: { isKnown: boolean; named: boolean },
): Promise<void> {
  const { signed } = bundle
  const makers = signed === undefined ? [] : [...signed.signers, ...signed.strangers]
  const wanted = site.named.keys.length + site.named.fingerprints.length > 0
  if (wanted) {
    const keys = [...site.named.keys, ...makers.filter(key => isNamed(key, site.named))]
    if (keys.length === 0) throw otherSigner(site.named, bundle)
    return pin(site, keys)
  }
  if (site.first === undefined || isKnown || signed === undefined || !isSigned(signed)) return
  const { confirm } = site.first
  if (named && confirm === undefined) return
  if (confirm === undefined || makers.length === 0) throw unconfirmed(signed, bundle.path)
  const confirmed: PublicKey[] = []
  for (const key of makers) if (isPinned(site, key) || (await confirm(key, bundle))) confirmed.push(key)
  if (confirmed.length === 0) throw declined(makers, bundle.path)
  pin(site, confirmed)
}

function isPinned({ record }: SiteTrust, key: PublicKey): boolean {
  return record?.keys.some(one => one.key.fingerprint === key.fingerprint) ?? false
}

function pin(site: SiteTrust, keys: readonly PublicKey[]): void {
  const { now, first, known } = site
  for (const key of keys) {
    if (isPinned(site, key)) continue
    site.record = withKey(site.record, key, { now, by: first?.by ?? '', before: newestKnown(known) })
    site.pending = true
  }
}

/** What the site has had before it got a key. */
export function newestKnown(known: readonly BundleIdentity[]): TrustRecord['newest'] {
  const byName = new Map(
    known.map(({ name, version, digest }) => [name, { name, version, digest, built: null }]),
  )
  return [...byName.values()]
}

function otherSigner({ fingerprints }: TrustKeys, { path, signed }: Judged): AirgapError {
  const named = `--trust-key ${fingerprints.join(', ')}`
  if (signed === undefined || !isSigned(signed))
    return unsignedBundle(path, {
      next: `copy all files whose names start with ${path.slice(path.lastIndexOf('/') + 1)}`,
    })
  if (signed.strangers.length === 0)
    return new AirgapError('USAGE', 'the signatures of the bundle do not contain their key', {
      item: named,
      likely: 'it is signed in the format of minisign only',
      next: 'pass the public key itself: --trust-key FILE',
    })
  return new AirgapError('UNTRUSTED', 'the bundle is signed with another key than the one that was named', {
    item: `${path}: ${signed.strangers.map(({ short }) => short).join(', ')}`,
    likely: 'the medium was replaced, or the fingerprint was written down wrongly',
    next: `compare the fingerprint with the person who built the bundle, over the phone; do not use the bundle until it agrees with ${named}`,
  })
}

function unconfirmed({ strangers, hints }: SignedBundle, path: string): AirgapError {
  const [key] = strangers
  return new AirgapError('USAGE', 'nobody has confirmed the key that this bundle is signed with', {
    item:
      key === undefined ? `${path}: signed with ${hints.join(', ')}` : `${path}: ${key.short}, ${key.words}`,
    likely:
      key === undefined
        ? 'this is the first signed bundle of the site, and its signatures do not contain their key'
        : 'this is the first signed bundle of the site, and its key cannot be confirmed without a terminal',
    next:
      key === undefined
        ? 'pass --trust-key FILE, with the public key from the person who built the bundle, obtained separately from the medium'
        : 'compare the fingerprint with the person who built the bundle, over the phone, then pass it with --trust-key FINGERPRINT',
  })
}

function declined(keys: readonly PublicKey[], path: string): AirgapError {
  return new AirgapError('UNTRUSTED', 'the key of the bundle was not confirmed', {
    item: `${path}: ${keys.map(({ short }) => short).join(', ')}`,
    likely:
      'its fingerprint is not the one that the person who built the bundle read to you, or you could not compare it',
    next: 'if they differ, do not use this medium and report it; to compare later, run the same command again',
  })
}
