import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  createCleartextMessage,
  createMessage,
  generateKey,
  type PrivateKey,
  readPrivateKey,
  sign,
} from 'openpgp'
import { createAtomically } from '../core/atomic-file.ts'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'

/** The site's own OpenPGP key, which its machines trust for apt and dnf repositories. It never leaves the site. */
export interface SiteKey {
  /** 40 hex digits, upper case */
  fingerprint: string
  /** for `Signed-By:` as `.asc`, and for `rpm --import` */
  publicKeyArmored: string
  /** for `Signed-By:` as `.gpg` */
  publicKeyBinary: Uint8Array
  /** Returns the text with its signature, an `InRelease` (RFC 9580 section 7). */
  clearSign(text: string): Promise<string>
  /** Returns the armored signature over the bytes of the text, a `Release.gpg`. */
  detachSign(text: string): Promise<string>
}

export interface SiteKeyOptions {
  /** the state folder of the site; the key is its `site-key.asc` */
  folder: string
  now: () => Date
}

/**
 * Opens the key in the state folder. The first call generates it, with mode 0600; two servers that start at once use the same
 * one. Throws KEY_INVALID for a damaged file, which is never replaced, as every machine trusts the key, and PERMISSION.
 */
export async function openSiteKey({ folder, now }: SiteKeyOptions): Promise<SiteKey> {
  const path = join(folder, 'site-key.asc')
  const existing = await readKey(path)
  if (existing) return siteKey(existing, now)
  // RSA: rpm 4.14 of EL8 does not know EdDSA
  const { privateKey } = await generateKey({
    type: 'rsa',
    rsaBits: 3072,
    userIDs: [{ name: 'airgap site repository key' }],
    subkeys: [],
    date: now(),
    format: 'armored',
  })
  await makeFolder(folder)
  await createAtomically(path, privateKey, 0o600)
  const made = await readKey(path)
  if (!made)
    throw new AirgapError('KEY_INVALID', 'the site key disappeared after it was written', { item: path })
  return siteKey(made, now)
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw fromSystemError(error, folder)
  }
}

async function readKey(path: string): Promise<PrivateKey | undefined> {
  let text: string
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0) {
      throw new AirgapError('PERMISSION', "other users can read the site's private key", {
        item: path,
        likely: 'it was copied or restored without its mode',
        next: `chmod 600 ${path}; if somebody did read it, delete it and run apply again, which configures every machine with a new key`,
      })
    }
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw fromSystemError(error, path)
  }
  try {
    return await readPrivateKey({ armoredKey: text })
  } catch (error) {
    throw new AirgapError('KEY_INVALID', "the site's signing key is invalid", {
      item: path,
      likely: 'a damaged disk or an edited file',
      next: 'restore it from a backup, or delete it and run apply again, which configures every machine with a new key',
      cause: error,
    })
  }
}

function siteKey(key: PrivateKey, now: () => Date): SiteKey {
  const publicKey = key.toPublic()
  return {
    fingerprint: publicKey.getFingerprint().toUpperCase(),
    publicKeyArmored: publicKey.armor(),
    publicKeyBinary: publicKey.write(),
    clearSign: async text =>
      await sign({ message: await createCleartextMessage({ text }), signingKeys: key, date: now() }),
    detachSign: async text =>
      await sign({
        message: await createMessage({ binary: new TextEncoder().encode(text) }),
        signingKeys: key,
        detached: true,
        date: now(),
      }),
  }
}
