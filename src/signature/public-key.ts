import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { AirgapError } from '../core/errors.ts'
import { withoutTrailing } from '../core/trim.ts'
import { decodeBase64 } from './base64.ts'
import { wordsOf } from './key-words.ts'
import { fromSshBlob, sshKeyBlob } from './ssh-wire.ts'

/** An Ed25519 public key (RFC 8032). */
export interface PublicKey {
  /** 32 bytes */
  raw: Buffer
  /** `SHA256:…`, as `ssh-keygen -l` prints it */
  fingerprint: string
  /** the first ten bytes of the fingerprint, for people: `A1B2 C3D4 E5F6 0718 293A` */
  short: string
  /** the same ten bytes as words, to read over the phone */
  words: string
  /** the first four bytes of the fingerprint in hex: part of file names */
  id: string
  /** the eight bytes that minisign writes into its files: random in a key that minisign made, else from the fingerprint */
  minisignId: Buffer
}

/** Throws KEY_INVALID for a key under which anyone can make signatures. */
export function publicKeyOf(raw: Buffer, minisignId?: Buffer): PublicKey {
  if (raw.length !== 32 || isWeakKey(raw))
    throw new AirgapError('KEY_INVALID', 'not an Ed25519 public key', {
      item: raw.toString('base64'),
      likely: 'it was made so that signatures are valid without a secret key',
      next: 'do not use it; request the key again from the person who signs bundles',
    })
  const hash = createHash('sha256').update(sshKeyBlob(raw)).digest()
  const spoken = hash.subarray(0, 10)
  return {
    raw: Buffer.from(raw),
    fingerprint: `SHA256:${withoutTrailing(hash.toString('base64'), '=')}`,
    short: spoken.toString('hex').toUpperCase().match(/.{4}/g)!.join(' '),
    words: wordsOf(spoken).join(' '),
    id: hash.toString('hex', 0, 4),
    minisignId: Buffer.from(minisignId ?? hash.subarray(0, 8)),
  }
}

/** Whether anyone can make signatures under the key: a point of small order. */
export function isWeakKey(raw: Uint8Array): boolean {
  const masked = Buffer.from(raw)
  masked[31]! &= 0x7f
  return smallOrder.has(masked.toString('hex'))
}

/** The points of small order, sign bit cleared (libsodium, ed25519_ref10.c, ge25519_has_small_order). */
const smallOrder = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
])

const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')

function keyObjectOf({ raw }: PublicKey): KeyObject {
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' })
}

export function isSignedBy(
  key: PublicKey,
  { message, signature }: { message: Uint8Array; signature: Uint8Array },
): boolean {
  return signature.length === 64 && verify(null, message, keyObjectOf(key), signature)
}

/** How minisign prints the ID of a key: a number of 64 bits, little-endian, in hex, without leading zeros. */
export function minisignIdText(id: Uint8Array): string {
  return Buffer.from(id).readBigUInt64LE().toString(16).toUpperCase()
}

/** The 56 letters that `minisign -P` takes. */
export function minisignKeyText({ raw, minisignId }: PublicKey): string {
  return Buffer.concat([Buffer.from('Ed'), minisignId, raw]).toString('base64')
}

/** The file that `minisign -p` reads. */
export function minisignKeyFile(key: PublicKey): string {
  return `untrusted comment: minisign public key ${minisignIdText(key.minisignId)}\n${minisignKeyText(key)}\n`
}

/** `ssh-ed25519 AAAA…`, as in authorized_keys and, after a name, in allowed_signers. */
export function sshKeyText({ raw }: PublicKey): string {
  return `ssh-ed25519 ${sshKeyBlob(raw).toString('base64')}`
}

/** The PEM file that `cosign verify-blob --key` and `openssl pkeyutl -pubin` read. */
export function pemKeyFile(key: PublicKey): string {
  return keyObjectOf(key).export({ format: 'pem', type: 'spki' }).toString()
}

const maxKeys = 32
const maxLength = 64 * 1024 /* characters */

/**
 * Returns the keys of a text: public key files of minisign, OpenSSH (also authorized_keys and allowed_signers) and PEM, one or several of
 * them, each key once. Comments and empty lines are ignored. Throws KEY_INVALID, naming the line.
 */
export function parsePublicKeys(text: string, item: string): PublicKey[] {
  if (text.length > maxLength) throw notKey(item, 'the file is too large for public keys')
  const keys = new Map<string, PublicKey>()
  const lines = text.split(/\r?\n/)
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!.trim()
    if (line === '' || line.startsWith('#') || line.startsWith('untrusted comment:')) continue
    const pem = line === '-----BEGIN PUBLIC KEY-----'
    const key = pem ? fromPem(lines.slice(i + 1, i + 3)) : (fromMinisign(line) ?? fromSsh(line))
    if (key === undefined) throw notKey(`${item}:${i + 1}`, 'not an Ed25519 public key')
    if (pem) i += 2
    keys.set(key.raw.toString('hex'), keys.get(key.raw.toString('hex')) ?? key)
  }
  if (keys.size === 0) throw notKey(item, 'it contains no public key')
  if (keys.size > maxKeys) throw notKey(item, `more than ${maxKeys} public keys`)
  return [...keys.values()]
}

function fromMinisign(line: string): PublicKey | undefined {
  const bytes = decodeBase64(line, 42)
  if (bytes?.toString('latin1', 0, 2) !== 'Ed') return undefined
  return publicKeyOf(bytes.subarray(10), bytes.subarray(2, 10))
}

function fromSsh(line: string): PublicKey | undefined {
  const fields = line.split(/[ \t]+/)
  const blob = decodeBase64(fields[fields.indexOf('ssh-ed25519') + 1] ?? '')
  const raw = fields.includes('ssh-ed25519') && blob !== undefined ? fromSshBlob(blob, 32) : undefined
  return raw === undefined ? undefined : publicKeyOf(raw)
}

function fromPem([body = '', end = '']: string[]): PublicKey | undefined {
  const bytes = decodeBase64(body.trim(), spkiPrefix.length + 32)
  if (bytes === undefined || end.trim() !== '-----END PUBLIC KEY-----') return undefined
  if (!bytes.subarray(0, spkiPrefix.length).equals(spkiPrefix)) return undefined
  return publicKeyOf(bytes.subarray(spkiPrefix.length))
}

function notKey(item: string, what: string): AirgapError {
  return new AirgapError('KEY_INVALID', what, {
    item,
    likely: 'it is a key of another kind (RSA, ECDSA), a secret key, or was copied in part',
    next: 'use a public key that `airgap keygen`, `minisign -G` or `ssh-keygen -t ed25519` wrote',
  })
}
