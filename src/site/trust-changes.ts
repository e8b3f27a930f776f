import { AirgapError } from '../core/errors.ts'
import { isPlausible, laterOf } from '../signature/expiry.ts'
import type { PublicKey } from '../signature/public-key.ts'
import type { Rotation } from '../signature/rotation.ts'
import { printTime } from '../signature/statement.ts'
import { keyNamePattern, type TrustedKey, type TrustRecord } from './trust-record.ts'
import { isAmong, namesOf, trustedSigners } from './trust-rules.ts'

/** Changes of what a site trusts: by a person on this host, or by a statement that enough of the trusted keys have signed. Pure functions. */

interface Change {
  now: Date
  /** user name on this host */
  by: string
}

/** What a site has had before it got a key: an older bundle is a rollback all the same. */
export type Before = TrustRecord['newest']

/** Returns the record with another key that a person has confirmed; without a record, the first one. Throws KEY_INVALID. */
export function withKey(
  record: TrustRecord | undefined,
  key: PublicKey,
  { now, by, name = key.id, before = [] }: Change & { name?: string | undefined; before?: Before },
): TrustRecord {
  const added: TrustedKey = { key, name, at: printTime(now), by, how: 'confirmed' }
  if (!keyNamePattern.test(name))
    throw new AirgapError('USAGE', 'the name of the key is invalid', {
      item: name,
      next: 'use letters, digits and . _ @ + - (63 at most)',
    })
  if (record === undefined)
    return {
      trustVersion: 1,
      threshold: 1,
      keys: [added],
      retired: [],
      newest: before,
      accepted: [],
      rotated: null,
      latest: null,
    }
  const same = record.keys.find(one => one.key.fingerprint === key.fingerprint)
  if (same !== undefined) throw keyTaken(same, 'this site trusts the key already')
  const namesake = record.keys.find(one => one.name === name)
  if (namesake !== undefined) throw keyTaken(namesake, 'another key has this name')
  // removed before, confirmed again: a rotation that keeps it brings nothing back
  const retired = record.retired.filter(one => one.key.fingerprint !== key.fingerprint)
  return { ...record, keys: [...record.keys, added], retired }
}

function keyTaken(key: TrustedKey, what: string): AirgapError {
  return new AirgapError('USAGE', what, {
    item: namesOf([key]),
    next: '`offline-deploy keys list` shows the keys; --name gives a key another name',
  })
}

/**
 * Returns the record without a key. Throws USAGE for the last key, as the site would accept unsigned bundles again, and where fewer keys
 * than the threshold would be left.
 */
export function withoutKey(record: TrustRecord, name: string, { now, by }: Change): TrustRecord {
  const key = keyNamed(record, name)
  const keys = record.keys.filter(one => one !== key)
  if (keys.length < record.threshold)
    throw new AirgapError(
      'USAGE',
      `${keys.length} keys would be left, and the site requires ${record.threshold}`,
      {
        item: namesOf([key]),
        likely:
          keys.length === 0 ? 'it is the only key of this site' : 'the threshold was chosen for more keys',
        next:
          keys.length === 0
            ? 'add its successor first, with `offline-deploy keys add FILE`'
            : 'add another key first, or lower the threshold with `offline-deploy keys threshold N`',
      },
    )
  return { ...record, keys, retired: retire(record, [key], { now, by, how: 'confirmed' }) }
}

/** By name, short fingerprint, or fingerprint. Throws USAGE. */
export function keyNamed({ keys }: TrustRecord, text: string): TrustedKey {
  const found = keys.find(({ name, key }) => name === text || isFingerprint(text, key))
  if (found !== undefined) return found
  throw new AirgapError('USAGE', 'this site has no such key', {
    item: text,
    likely: `it has ${namesOf(keys)}`,
    next: 'name one of them; `offline-deploy keys list` shows them',
  })
}

/** The short fingerprint with or without its blanks, in either case, or the whole one. */
export function isFingerprint(text: string, { fingerprint, short }: PublicKey): boolean {
  return text === fingerprint || text.replaceAll(' ', '').toUpperCase() === short.replaceAll(' ', '')
}

/** Throws USAGE for a threshold that the keys cannot reach. */
export function withThreshold(record: TrustRecord, threshold: number): TrustRecord {
  if (Number.isInteger(threshold) && threshold >= 1 && threshold <= record.keys.length)
    return { ...record, threshold }
  throw new AirgapError(
    'USAGE',
    `the site has ${record.keys.length} keys: the threshold must be from 1 to that number`,
    {
      item: String(threshold),
      next: 'add the other keys first, with `offline-deploy keys add FILE`',
    },
  )
}

/**
 * Returns the record with the keys that a rotation names in place of its present ones. It must be signed by as many of these as a bundle,
 * made later than the last one, and may raise the threshold, never lower it. Throws UNTRUSTED, ROLLBACK, SIGNATURE_INVALID.
 */
export function withRotation(
  record: TrustRecord,
  rotation: Rotation,
  { signers, path, now, by }: Change & { signers: readonly PublicKey[]; path: string },
): TrustRecord {
  trustedSigners(record, signers, { path, what: 'rotation' })
  if (record.rotated !== null && rotation.made <= record.rotated)
    throw new AirgapError(
      'ROLLBACK',
      `the rotation is older than the last one of this site: ${record.rotated}`,
      {
        item: `${path}: ${rotation.made}`,
        likely: 'it was applied before, or it is of an earlier delivery',
        next: 'nothing has to be done if `offline-deploy keys list` shows the right keys; otherwise ask for the newest rotation',
      },
    )
  const back = rotation.keys.find(key =>
    isAmong(
      key,
      record.retired.map(one => one.key),
    ),
  )
  if (back !== undefined)
    throw new AirgapError('UNTRUSTED', 'the rotation brings back a key that this site no longer trusts', {
      item: `${path}: ${back.short}`,
      likely: 'the key was removed here because it was lost or stolen',
      next: 'ask the person who made the rotation; if the key is right, add it with `offline-deploy keys add FILE`',
    })
  const threshold = Math.max(record.threshold, rotation.threshold)
  if (rotation.keys.length < threshold)
    throw new AirgapError(
      'UNTRUSTED',
      `the rotation leaves fewer keys than the ${threshold} that this site requires`,
      {
        item: path,
        likely: `it names ${rotation.keys.length}`,
        next: 'ask for a rotation with enough keys; only `offline-deploy keys threshold N` on this host lowers the threshold',
      },
    )
  const at = printTime(now)
  const kept = record.keys.filter(({ key }) => isAmong(key, rotation.keys))
  const removed = record.keys.filter(one => !kept.includes(one))
  const added = rotation.keys
    .filter(
      key =>
        !isAmong(
          key,
          kept.map(one => one.key),
        ),
    )
    .map((key): TrustedKey => ({ key, name: key.id, at, by, how: 'rotation' }))
  return {
    ...record,
    threshold,
    keys: [...kept, ...added],
    retired: retire(record, removed, { now, by, how: 'rotation' }),
    rotated: rotation.made,
    latest: isPlausible(rotation.made, now) ? laterOf(record.latest, rotation.made) : record.latest,
  }
}

function retire(
  { retired }: TrustRecord,
  keys: readonly TrustedKey[],
  { now, by, how }: Change & Pick<TrustedKey, 'how'>,
): TrustedKey[] {
  const at = printTime(now)
  return [...retired, ...keys.map(({ key, name }) => ({ key, name, at, by, how }))].slice(-1000)
}
