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

/** The site's own OpenPGP key: what the site's machines trust for apt and dnf repositories. It never leaves the site. */
export interface SiteKey {
  /** 40 hex digits, upper case */
  fingerprint: string
  /** for `Signed-By:` as `.asc`, and for `rpm --import` */
  publicKeyArmored: string
  /** for `Signed-By:` as `.gpg` */
  publicKeyBinary: Uint8Array
  /** RFC 9580 section 7: the text of an `InRelease` */
  clearSign(text: string): Promise<string>
  /** armored, over the bytes of the text: a `Release.gpg` */
  detachSign(text: string): Promise<string>
}

export interface SiteKeyOptions {
  /** the site's state folder; the key is `site-key.asc` in it */
  folder: string
  now: () => Date
}

/**
 * The key in the state folder, made on first start (mode 0600; of two servers that start at once, both use the one that was
 * there first). Throws KEY_INVALID where the file is damaged: it is never replaced, as every machine trusts it by now.
 */
export async function openSiteKey({ folder, now }: SiteKeyOptions): Promise<SiteKey> {
  const path = join(folder, 'site-key.asc')
  const existing = await readKey(path)
  if (existing) return siteKey(existing, now)
  // RSA: gpgv of Ubuntu 20.04 and the rpm of EL8 and EL9 take it; rpm 4.14 takes no EdDSA
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
    throw new AirgapError('KEY_INVALID', 'the site key vanished after it was written', { item: path })
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
      throw new AirgapError('PERMISSION', "others may read the site's private key", {
        item: path,
        likely: 'it was copied or restored without its mode',
        next: `chmod 600 ${path}, or delete it if others did read it (every machine then has to be configured again)`,
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
    throw new AirgapError('KEY_INVALID', "the site's signing key cannot be read", {
      item: path,
      likely: 'a damaged disk or an edited file',
      next: 'restore it from a backup; or delete it, start again and configure every machine anew with the new key',
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
