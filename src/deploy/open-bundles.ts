import { type ByteSource, openFileSource } from '../bundle/byte-source.ts'
import { type BundleStore, openBundle } from '../bundle/reader.ts'
import { refuseUnmarkedShards } from '../content/unmarked-shards.ts'
import { compareText } from '../core/canonical-json.ts'
import { defined } from '../core/defined.ts'
import { AirgapError, isErrorCode } from '../core/errors.ts'
import { lastingStateText } from '../core/file-state.ts'
import type { BundleFile } from '../install/steps/verify.ts'
import { findCarriedLock } from '../lock/carried-lock.ts'
import type { TrustRecord } from '../site/trust-record.ts'
import type { BundleIdentity } from './bundle-record.ts'
import { readSigned, type SignedBundle } from './bundle-trust.ts'
import {
  type BundleExpectation,
  type BundleTrust,
  candidateKeys,
  judgeBundle,
  readSiteTrust,
  type SiteTrust,
} from './site-trust.ts'

/** A bundle that is open and trusted, and the file it is in. */
export interface OpenBundle {
  path: string
  identity: BundleIdentity
  store: BundleStore
  trust: BundleTrust
  file: BundleFile
  /** the open file: what is read by its path may be another file by now */
  source: ByteSource
}

export interface OpenBundles extends AsyncDisposable {
  readonly bundles: readonly OpenBundle[]
  /** the keys of the site; of one that had none, those that are to be pinned */
  readonly record: TrustRecord | undefined
}

/**
 * Opens bundles, all or none. The only place of the closed side that opens one: nothing of a bundle (lock, rules, names, files) is
 * interpreted before this function has returned. Throws BUNDLE_UNREADABLE, BUNDLE_VERSION, BUNDLE_CORRUPT, DIGEST_MISMATCH,
 * SIGNATURE_INVALID, UNTRUSTED, ROLLBACK, EXPIRED, CLOCK_WRONG, TRUST_INVALID.
 */
export async function openBundles(
  paths: readonly string[],
  expectation: BundleExpectation,
): Promise<OpenBundles> {
  const trust = await readSiteTrust(expectation)
  const bundles: OpenBundle[] = []
  const close = async () => {
    await Promise.all(bundles.map(({ store }) => store.close()))
  }
  try {
    for (const path of paths) bundles.push(await openTrusted(path, trust))
  } catch (error) {
    await close()
    throw trust.known.length > 0 && isErrorCode(error, 'FILE_NOT_FOUND') ? mediumMissing(error) : error
  }
  return { bundles, record: trust.record, [Symbol.asyncDispose]: close }
}

/** At a site that was set up with a bundle, the file was there before. */
function mediumMissing(error: AirgapError): AirgapError {
  return new AirgapError('FILE_NOT_FOUND', error.message, {
    ...defined({ item: error.item }),
    likely: 'the medium was removed, or is mounted in another place',
    next: 'connect it again, or name the bundle with --bundle; `status`, `stop`, `rollback` and `support-bundle` work without it',
    cause: error,
  })
}

/** The checklist. Whatever a bundle holds is reached from index.json, by digests that are checked as it is read. */
async function openTrusted(path: string, site: SiteTrust): Promise<OpenBundle> {
  const source = await openFileSource(path)
  // format, front table, index.json under the digest that the table pins, and names of artifacts
  const store = await openBundle(source)
  try {
    const identity = { name: store.info.name, version: store.info.version, digest: store.indexDigest }
    const signed = await signaturesOf({ path, identity, store }, site)
    checkExpected(path, identity, site)
    checkKnown(path, identity, site)
    const platforms = async () => (await findCarriedLock(store, path))?.platforms
    const trust = await judgeBundle(site, { path, identity, signed, platforms })
    await refuseUnmarkedShards(store, path)
    const file = {
      path,
      indexDigest: identity.digest,
      size: store.size,
      state: lastingStateText(source.opened),
    }
    return { path, identity: withSigners(identity, trust), store, trust, file, source }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** A bundle that is installed, and known by its digest, stays usable without the files that came with it. */
async function signaturesOf(
  { path, identity, store }: { path: string; identity: BundleIdentity; store: BundleStore },
  site: SiteTrust,
): Promise<SignedBundle | undefined> {
  const installed = site.unknown === 'refused' && site.known.some(({ digest }) => digest === identity.digest)
  return installed ? undefined : await readSigned(path, { store, keys: candidateKeys(site) })
}

function withSigners(identity: BundleIdentity, { signers }: BundleTrust): BundleIdentity {
  if (signers.length === 0) return identity
  return { ...identity, signedBy: signers.map(({ key }) => key.fingerprint).sort(compareText) }
}

/** A medium that was swapped carries matching digests of its own: only one that arrived separately exposes it. */
function checkExpected(path: string, { digest }: BundleIdentity, { expect }: SiteTrust): void {
  if (expect.length === 0 || expect.includes(digest)) return
  throw new AirgapError('DIGEST_MISMATCH', `the bundle has digest ${digest}, not ${expect.join(' or ')}`, {
    item: path,
    likely:
      'it is another bundle or another version, it was changed after it was built, or OFFLINE_DEPLOY_EXPECT is out of date',
    next: 'compare the digest that `airgap build` printed; do not use this bundle until the two agree',
  })
}

/** A bundle that was changed on the medium since the site was set up keeps its name and version, or brings new ones. */
function checkKnown(path: string, found: BundleIdentity, { expect, known, unknown }: SiteTrust): void {
  if (expect.length > 0 || known.length === 0) return
  if (known.some(({ digest }) => digest === found.digest)) return
  const { name, version, digest } = found
  const same = known.find(one => one.name === name && one.version === version)
  if (same !== undefined)
    throw new AirgapError(
      'DIGEST_MISMATCH',
      `${name} ${version} has digest ${digest} now; this site was set up with ${same.digest}`,
      {
        item: path,
        likely: 'it was changed after it was built, or built again under the same version',
        next: 'compare the digest that `airgap build` printed; if this is the right bundle, pass that digest with --expect',
      },
    )
  if (unknown === 'opened') return
  throw new AirgapError('DIGEST_MISMATCH', 'this site was not set up with this bundle', {
    item: `${path}: ${name} ${version}, ${digest}`,
    likely: `the file was replaced: the site was set up with ${namesOf(known)}`,
    next: 'name the installed bundle with --bundle; to install this one, run `offline-deploy upgrade --bundle FILE`',
  })
}

function namesOf(bundles: readonly BundleIdentity[]): string {
  const names = new Set(bundles.map(({ name, version }) => `${name} ${version}`))
  return [...names].slice(-5).join(', ')
}
