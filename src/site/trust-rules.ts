import { compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { isPlausible, laterOf } from '../signature/expiry.ts'
import type { PublicKey } from '../signature/public-key.ts'
import { tooFewSigners } from '../signature/refusals.ts'
import { printTime, type Statement } from '../signature/statement.ts'
import { compareBundleVersions } from './bundle-version.ts'
import type { TrustedKey, TrustRecord } from './trust-record.ts'

/** When a site trusts a bundle: pure functions of its record, of what was signed and of the clock. */

/** Returns the trusted keys that have signed. Throws UNTRUSTED where these are fewer than the threshold. */
export function trustedSigners(
  record: TrustRecord,
  signers: readonly PublicKey[],
  { path, what = 'bundle' }: { path: string; what?: string },
): TrustedKey[] {
  const found = record.keys.filter(({ key }) => isAmong(key, signers))
  if (found.length >= record.threshold) return found
  if (found.length === 0) throw unknownSigners(record, signers, { path, what })
  const missing = record.keys.filter(key => !found.includes(key))
  throw tooFewSigners(path, {
    what,
    found: found.length,
    threshold: record.threshold,
    likely: `only ${namesOf(found)} signed it; ${namesOf(missing)} did not, or the signature was left behind`,
    next: `copy all signature files that belong to the ${what}, or ask ${namesOf(missing)} to sign it`,
  })
}

function unknownSigners(
  { keys, retired }: TrustRecord,
  signers: readonly PublicKey[],
  { path, what }: { path: string; what: string },
): AirgapError {
  const old = retired.findLast(({ key }) => isAmong(key, signers))
  if (old !== undefined)
    return new AirgapError('UNTRUSTED', `the ${what} is signed with a key that this site no longer trusts`, {
      item: path,
      likely: `${namesOf([old])} was replaced or removed on ${old.at.slice(0, 10)} by ${old.by}`,
      next: `ask for a ${what} that is signed with ${namesOf(keys)}`,
    })
  return new AirgapError('UNTRUSTED', `the ${what} is signed with a key that this site does not trust`, {
    item: path,
    likely:
      signers.length === 0
        ? `none of its signatures is by ${namesOf(keys)}`
        : `it is signed with ${signers.map(({ short }) => short).join(', ')}; this site trusts ${namesOf(keys)}`,
    next: 'if the keys were rotated, run `offline-deploy keys rotate FILE` with the statement of the rotation; otherwise do not use this medium, and report it to the person who built the bundle',
  })
}

/** A bundle as far as its age matters; `built`: null where it is not signed. */
export interface Dated {
  name: string
  version: string
  index: Digest
  built: string | null
  /** for which machines it is; absent or empty where that is not known: it may replace any bundle */
  platforms?: readonly string[] | undefined
}

/**
 * Throws ROLLBACK for a bundle that is older than the newest that the site has accepted under this name. An old bundle is signed as well
 * as a new one: without this check, a medium of last year brings back its vulnerabilities. `deliberate`: the operator named
 * its digest and passed --allow-older. The digest alone is not enough: it is in the signed statement on the medium itself.
 */
export function refuseRollback(
  record: TrustRecord,
  bundle: Dated,
  { path, deliberate }: { path: string; deliberate: boolean },
): void {
  const { newest, accepted } = record
  const { name, version, index, built } = bundle
  const before = newest.find(one => one.name === name)
  if (before === undefined || before.digest === index || deliberate) return
  // what the site went back to deliberately, and the other bundle of a version: it may have one for each architecture
  if (accepted.findLast(one => one.name === name)?.digest === index) return
  if (accepted.some(one => one.digest === index && one.version === before.version)) return
  const order = compareBundleVersions(version, before.version)
  const [later] = order === 0 ? laterBuilds(record, bundle) : []
  if (order > 0 || (order === 0 && later === undefined)) return
  throw new AirgapError(
    'ROLLBACK',
    order < 0
      ? `the bundle is older than the newest that this site has had: ${version}, not ${before.version}`
      : `the bundle is an earlier build of ${version}: of ${built}, not ${later}`,
    {
      item: path,
      likely: 'it is the medium of an earlier delivery; its signature stays good forever',
      next: 'use the newer bundle; to go back deliberately, get the digest of this bundle from the person who built it, and run `offline-deploy upgrade --bundle FILE --allow-older --expect DIGEST` (without machines: `apply`)',
    },
  )
}

/**
 * Returns when the bundles of the same version were built that are later than this one and for some of the same machines, the latest first. Those
 * of one version for two architectures are built one after the other, and arrive in any order; a bundle for both replaces either.
 */
function laterBuilds({ newest, accepted }: TrustRecord, bundle: Dated): string[] {
  const { name, version, built, platforms = [] } = bundle
  // what is not in the list of accepted bundles was the newest before the site had a key, or before that list was full
  const others = newest.filter(one => !accepted.some(({ digest }) => digest === one.digest))
  const known = [...accepted, ...others.map(one => ({ ...one, platforms: undefined }))]
  return known
    .filter(one => one.name === name && compareBundleVersions(one.version, version) === 0)
    .filter(({ platforms: theirs = [] }) => {
      const isKnown = platforms.length > 0 && theirs.length > 0
      return !isKnown || theirs.some(one => platforms.includes(one))
    })
    .map(one => one.built ?? newest.find(({ digest }) => digest === one.digest)?.built ?? null)
    .flatMap(time => (time !== null && isEarlier(built, time) ? [time] : []))
    .sort((a, b) => compareText(b, a))
}

/** Whether only its platforms can tell an earlier build from that of another architecture. */
export function isSameVersion({ newest }: TrustRecord, { name, version }: Dated): boolean {
  const before = newest.find(one => one.name === name)
  return before !== undefined && compareBundleVersions(version, before.version) === 0
}

function isEarlier(built: string | null, before: string | null): boolean {
  return built !== null && before !== null && built < before
}

/** Returns the record with a bundle that the site accepts from now on. Its keys and its threshold stay as they are. */
export function withAccepted(
  record: TrustRecord,
  bundle: Statement,
  {
    signers,
    platforms,
    now,
    by,
  }: { signers: readonly TrustedKey[]; platforms?: string[] | undefined; now: Date; by: string },
): TrustRecord {
  const { name, version, index: digest, built, expires } = bundle
  const at = printTime(now)
  const before = record.newest.find(one => one.name === name)
  const others = record.newest.filter(one => one !== before)
  const seen = { name, version, digest, built }
  const again = record.accepted.filter(one => one.digest !== digest)
  const acceptance = {
    name,
    version,
    digest,
    keys: signers.map(({ key }) => key.fingerprint).sort(compareText),
    expires: expires ?? null,
    built,
    at,
    by,
    ...defined({ platforms: platforms?.length ? platforms : undefined }),
  }
  return {
    ...record,
    newest: [...others, before === undefined || isNewer(seen, before) ? seen : before].slice(-maxRemembered),
    accepted: [...again, acceptance].slice(-maxRemembered),
    latest: isPlausible(built, now) ? laterOf(record.latest, built) : record.latest,
  }
}

/**
 * Returns the record with a bundle that the site installs again, known by its digest: what the site uses now is no rollback. What the
 * record says about its keys and its expiry stays; a bundle from before the site had a key has neither.
 */
export function withReinstalled(
  record: TrustRecord,
  { name, version, digest }: Pick<TrustRecord['newest'][number], 'name' | 'version' | 'digest'>,
  { now, by }: { now: Date; by: string },
): TrustRecord {
  const latest = record.accepted.findLast(one => one.name === name)
  if (latest?.digest === digest) return record
  const before = record.accepted.find(one => one.digest === digest)
  const acceptance = before ?? { name, version, digest, keys: [], expires: null, at: printTime(now), by }
  const others = record.accepted.filter(one => one !== before)
  return { ...record, accepted: [...others, acceptance].slice(-maxRemembered) }
}

function isNewer(seen: Pick<Dated, 'version' | 'built'>, before: TrustRecord['newest'][number]): boolean {
  const order = compareBundleVersions(seen.version, before.version)
  return order > 0 || (order === 0 && !isEarlier(seen.built, before.built))
}

const maxRemembered = 1000

export function isAmong(key: PublicKey, others: readonly PublicKey[]): boolean {
  return others.some(({ fingerprint }) => fingerprint === key.fingerprint)
}

/** `release-2026 (A1B2 …)`, with commas between them. */
export function namesOf(keys: readonly TrustedKey[]): string {
  return keys.map(({ name, key }) => `${name} (${key.short})`).join(', ')
}
