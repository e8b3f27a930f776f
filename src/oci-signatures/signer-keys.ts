import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { AirgapError } from '../core/errors.ts'
import { decodeBase64 } from '../signature/base64.ts'
import { isWeakKey } from '../signature/public-key.ts'

/** A publisher's public key. */
export interface SignerKey {
  type: 'key'
  key: KeyObject
  /** SHA-256 of the DER form, 64 hex digits: what `openssl pkey -pubin -in FILE -outform DER | sha256sum` prints */
  fingerprint: string
}

const maxLength = 64 * 1024 /* characters */
const maxKeys = 32
const pemPattern = /^-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END PUBLIC KEY-----$/

/**
 * Returns the public keys of a PEM file as `cosign public-key` writes it: ECDSA (P-256, P-384, P-521), Ed25519, or RSA from 2048 bits.
 * Throws KEY_INVALID for anything else, a secret key included.
 */
export function parseSignerKeys(text: string, item: string): SignerKey[] {
  if (text.length > maxLength) throw notKey(item, 'the file is too large for public keys')
  if (text.includes('PRIVATE KEY'))
    throw new AirgapError('KEY_INVALID', 'the file is a secret key', {
      item,
      next: 'put the public key beside the manifest (the cosign.pub that cosign generate-key-pair wrote), and keep the secret key away',
    })
  const blocks = text
    .replaceAll('\r\n', '\n')
    .split(/(?<=-----END PUBLIC KEY-----)/)
    .map(block => block.trim())
    .filter(block => block !== '')
  if (blocks.length === 0) throw notKey(item, 'it contains no public key')
  if (blocks.length > maxKeys) throw notKey(item, `more than ${maxKeys} public keys`)
  return blocks.map(block => {
    const der = decodeBase64((pemPattern.exec(block)?.[1] ?? '-').replaceAll('\n', ''))
    if (der === undefined) throw notKey(item, 'not a public key in PEM form')
    return signerKey(der, item)
  })
}

function signerKey(der: Buffer, item: string): SignerKey {
  let key: KeyObject
  try {
    key = createPublicKey({ key: der, format: 'der', type: 'spki' })
  } catch {
    throw notKey(item, 'not a public key in PEM form')
  }
  const weakness = weaknessOf(key, der)
  if (weakness !== undefined) throw notKey(item, weakness)
  return { type: 'key', key, fingerprint: createHash('sha256').update(der).digest('hex') }
}

const curves = ['prime256v1', 'secp384r1', 'secp521r1']

/** Why a public key (`der`: its SubjectPublicKeyInfo) must not vouch for anything; undefined for a good one. */
export function weaknessOf({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject, der: Buffer) {
  const { namedCurve = '', modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails
  if (asymmetricKeyType === 'ed25519')
    return isWeakKey(der.subarray(-32)) ? 'anyone can make signatures under this Ed25519 key' : undefined
  if (asymmetricKeyType === 'ec')
    return curves.includes(namedCurve) ? undefined : `ECDSA on the curve ${namedCurve} is not supported`
  if (asymmetricKeyType !== 'rsa') return `keys of type ${asymmetricKeyType} are not supported`
  if (modulusLength < 2048 || modulusLength > 8192)
    return `an RSA key of ${modulusLength} bits is not supported`
  // with the exponent 1, every message is its own signature
  return publicExponent < 65537n ? 'the RSA key has a weak exponent' : undefined
}

function notKey(item: string, what: string): AirgapError {
  return new AirgapError('KEY_INVALID', what, {
    item,
    likely: 'it is a certificate or a key of another kind, or was copied in part',
    next: "use the publisher's public key in PEM form: ECDSA (as `cosign generate-key-pair` makes it), Ed25519, or RSA of 2048 bits or more",
  })
}
