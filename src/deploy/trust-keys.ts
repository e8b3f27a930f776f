import { AirgapError } from '../core/errors.ts'
import { readGuarded } from '../core/guarded-file.ts'
import { type PublicKey, parsePublicKeys } from '../signature/public-key.ts'
import { isFingerprint } from '../site/trust-changes.ts'

/** Keys that the operator named with --trust-key: from files, or by a fingerprint, which a signature that contains its key must match. */
export interface TrustKeys {
  keys: PublicKey[]
  fingerprints: string[]
}

const maxSize = 64 * 1024 /* bytes */

/** Takes the texts of --trust-key. Throws FILE_NOT_FOUND, KEY_INVALID. */
export async function readTrustKeys(texts: readonly string[]): Promise<TrustKeys> {
  const found: TrustKeys = { keys: [], fingerprints: [] }
  for (const text of texts) {
    if (looksLikeFingerprint(text)) found.fingerprints.push(text)
    else found.keys.push(...(await readKeyFile(text)))
  }
  return found
}

/** Throws FILE_NOT_FOUND, KEY_INVALID. */
export async function readKeyFile(path: string): Promise<PublicKey[]> {
  const file = await readGuarded(path, maxSize)
  if (file !== undefined) return parsePublicKeys(file.bytes.toString('utf8'), path)
  throw new AirgapError('FILE_NOT_FOUND', 'the public key file does not exist', {
    item: path,
    likely: 'it is in another folder, or a part of the fingerprint is missing',
    next: 'pass the path of a public key, or its fingerprint: 20 hex digits, or SHA256: and 43 characters',
  })
}

export function looksLikeFingerprint(text: string): boolean {
  return /^(?:[0-9A-Fa-f]{4} ?){5}$/.test(text) || /^SHA256:[A-Za-z0-9+/]{43}$/.test(text)
}

export function isNamed(key: PublicKey, { keys, fingerprints }: TrustKeys): boolean {
  return (
    keys.some(one => one.fingerprint === key.fingerprint) ||
    fingerprints.some(text => isFingerprint(text, key))
  )
}
