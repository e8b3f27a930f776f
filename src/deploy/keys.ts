import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { readGuarded } from '../core/guarded-file.ts'
import { acquireProcessLock } from '../core/process-lock.ts'
import { readSignatures } from '../signature/files.ts'
import type { PublicKey } from '../signature/public-key.ts'
import { parseRotation } from '../signature/rotation.ts'
import { verifySignatures } from '../signature/verify.ts'
import { openState, pathsOf } from '../site/state.ts'
import { keyNamed, withKey, withoutKey, withRotation, withThreshold } from '../site/trust-changes.ts'
import { readTrust, type TrustedKey, type TrustRecord, writeTrust } from '../site/trust-record.ts'
import { knownBundles } from './bundle-record.ts'
import type { DeployContext } from './context.ts'
import { operatorName } from './operator.ts'
import { findSite } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'
import { newestKnown } from './site-trust.ts'
import { readKeyFile } from './trust-keys.ts'
import { type KeyView, keyView } from './trust-view.ts'

export interface SiteKeyView extends KeyView {
  name: string
  /** since when, by which user, and how it came to be trusted */
  at: string
  by: string
  how: TrustedKey['how']
}

/** The keys of a site. */
export interface SiteKeys {
  /** how many of them must have signed a bundle */
  threshold: number
  keys: SiteKeyView[]
  /** no longer trusted; `at`, `by` and `how` of the removal */
  retired: SiteKeyView[]
  /** the newest bundle of each name that was accepted: an older one is refused */
  newest: { name: string; version: string; built: string | null }[]
}

/** The keys of a site; null where it has none. Throws TRUST_INVALID. */
export async function siteKeys(siteFolder: string): Promise<SiteKeys | null> {
  const record = await readTrust(pathsOf(siteFolder).trust)
  return record === undefined ? null : keysIn(record)
}

export async function listKeys(options: SiteOptions): Promise<{ site: string; keys: SiteKeys | null }> {
  const { siteFolder } = await findSite(options)
  return { site: siteFolder, keys: await siteKeys(siteFolder) }
}

function keysIn({ threshold, keys, retired, newest }: TrustRecord): SiteKeys {
  const view = ({ key, name, at, by, how }: TrustedKey) => ({ ...keyView(key, name), at, by, how })
  return {
    threshold,
    keys: keys.map(view),
    retired: retired.map(view),
    newest: newest.map(({ name, version, built }) => ({ name, version, built })),
  }
}

export interface ChangedKeys {
  site: string
  keys: SiteKeys
  written: boolean
}

interface ChangeRun {
  dryRun: boolean
  /** throws where the operator does not agree */
  confirm: (what: string) => Promise<void>
}

/** Adds the keys of a file, once a person has confirmed each. Throws KEY_INVALID, USAGE, TRUST_INVALID, BUSY. */
export async function addKeys(
  options: SiteOptions & { file: string; name?: string | undefined },
  context: DeployContext,
  run: ChangeRun,
): Promise<ChangedKeys> {
  const { file, name } = options
  const keys = await readKeyFile(file)
  if (name !== undefined && keys.length > 1)
    throw new AirgapError('USAGE', `the file has ${keys.length} keys: --name is for one`, {
      item: file,
      next: 'leave --name out, or put each key in a file of its own',
    })
  return await changeKeys(options, context, {
    ...run,
    what: `trust every bundle that is signed with ${keys.map(keyLine).join(' or ')}`,
    change: async (record, change) => {
      const before = newestKnown(change.known)
      return keys.reduce<TrustRecord | undefined>(
        (changed, key) => withKey(changed, key, { ...change, name, before }),
        record,
      )
    },
  })
}

function keyLine({ short, words }: PublicKey): string {
  return `${short} (${words})`
}

/** Removes a key, by its name or fingerprint. Throws USAGE, TRUST_INVALID, BUSY. */
export async function removeKey(
  options: SiteOptions & { key: string },
  context: DeployContext,
  run: ChangeRun,
): Promise<ChangedKeys> {
  const record = existing(await readTrust(await trustPath(options)))
  const { name, key } = keyNamed(record, options.key)
  return await changeKeys(options, context, {
    ...run,
    what: `no longer trust ${name}, ${keyLine(key)}; what is installed stays`,
    change: async (found, change) => withoutKey(existing(found), options.key, change),
  })
}

/** Changes how many keys must have signed a bundle. Throws USAGE, TRUST_INVALID, BUSY. */
export async function changeThreshold(
  options: SiteOptions & { threshold: number },
  context: DeployContext,
  run: ChangeRun,
): Promise<ChangedKeys> {
  const { threshold } = options
  const record = existing(await readTrust(await trustPath(options)))
  const count = (n: number) => `${n} of ${record.keys.length}`
  return await changeKeys(options, context, {
    ...run,
    what: `require ${count(threshold)} signatures, not ${count(record.threshold)}`,
    change: async found => withThreshold(existing(found), threshold),
  })
}

/**
 * Replaces the keys with those of a rotation that enough of the present keys have signed. Nobody is asked: the signatures are the answer. Of
 * several files, the oldest comes first. Throws UNTRUSTED, ROLLBACK, SIGNATURE_INVALID, USAGE, TRUST_INVALID, BUSY.
 */
export async function rotateKeys(
  options: SiteOptions & { files: readonly string[] },
  context: DeployContext,
  { dryRun }: { dryRun: boolean },
): Promise<ChangedKeys> {
  const statements = await Promise.all(options.files.map(readRotation))
  const inOrder = statements.sort((a, b) => compareText(a.rotation.made, b.rotation.made))
  return await changeKeys(options, context, {
    dryRun,
    confirm: async () => {},
    what: 'rotate the keys',
    change: async (record, change) =>
      inOrder.reduce((found, { path, rotation, bytes, signatures }) => {
        const keys = [...found.keys, ...found.retired].map(({ key }) => key)
        const { good, unknown } = verifySignatures(bytes, { signatures, keys })
        const others = unknown.flatMap(({ key }) => (key === undefined ? [] : [key]))
        const signers = [...good.map(({ key }) => key), ...others]
        return withRotation(found, rotation, { ...change, signers, path })
      }, existing(record)),
  })
}

async function readRotation(path: string) {
  const file = await readGuarded(path, 64 * 1024)
  if (file === undefined)
    throw new AirgapError('FILE_NOT_FOUND', 'the file of the rotation does not exist', {
      item: path,
      next: 'pass the path of the file that `airgap rotate` wrote',
    })
  const { bytes } = file
  return { path, bytes, rotation: parseRotation(bytes, path), signatures: await readSignatures(path) }
}

async function trustPath(options: SiteOptions): Promise<string> {
  return pathsOf((await findSite(options)).siteFolder).trust
}

function existing(record: TrustRecord | undefined): TrustRecord {
  if (record !== undefined) return record
  throw new AirgapError('USAGE', 'this site has no keys', {
    likely: 'no signed bundle was installed yet, or the site has another state folder',
    next: 'add the first key with `offline-deploy keys add FILE`, or name the state folder with --site',
  })
}

interface KeyChange extends ChangeRun {
  what: string
  change: (
    record: TrustRecord | undefined,
    how: { now: Date; by: string; known: Awaited<ReturnType<typeof knownBundles>> },
  ) => Promise<TrustRecord | undefined>
}

/** The change is tried before it is confirmed, and made while the lock of the site is held. */
async function changeKeys(
  options: SiteOptions,
  context: DeployContext,
  { what, change, dryRun, confirm }: KeyChange,
): Promise<ChangedKeys> {
  const { siteFolder } = await findSite(options)
  const how = {
    now: context.now(),
    by: operatorName(context.environment),
    known: await knownBundles(siteFolder),
  }
  const tried = existing(await change(await readTrust(pathsOf(siteFolder).trust), how))
  if (dryRun) return { site: siteFolder, keys: keysIn(tried), written: false }
  await confirm(what)
  const { paths } = await openState(siteFolder)
  await using _lock = await acquireProcessLock(paths.lock, siteFolder)
  const changed = existing(await change(await readTrust(paths.trust), how))
  await writeTrust(paths.trust, changed)
  return { site: siteFolder, keys: keysIn(changed), written: true }
}
