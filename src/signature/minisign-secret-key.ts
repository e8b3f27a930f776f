import { generateKeyPairSync, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { AirgapError } from '../core/errors.ts'
import { decodeBase64 } from './base64.ts'
import { blake2b256 } from './blake2b.ts'
import { minisignIdText, type PublicKey, publicKeyOf } from './public-key.ts'
import { type Signer, signerOf } from './signer.ts'

/**
 * The secret key file of minisign (https://jedisct1.github.io/minisign, "Secret key format"), which stock minisign reads as well: the
 * names of two algorithms, parameters of scrypt, and the key, XORed with what scrypt makes of the password.
 */
const algorithm = 'Ed'
const encrypted = 'Sc'
const plain = '\0\0'
const checksum = 'B2'
const keyLength = 8 + 64 + 32 /* bytes: ID, seed and public key, checksum */
const headLength = 2 + 2 + 2 + 32 + 8 + 8 /* bytes */

/** What deriving the key costs (libsodium, crypto_pwhash_scryptsalsa208sha256). */
export interface ScryptCost {
  operations: number
  memory: number /* bytes */
}

/** 256 MiB, half a second to a second; minisign itself uses 1 GiB, which small build machines do not have to spare. */
const defaultCost: ScryptCost = { operations: 2 ** 23, memory: 2 ** 28 }

/** minisign's own (`SENSITIVE`): more would let a key file that someone planted exhaust the machine. */
const maxCost: ScryptCost = { operations: 2 ** 25, memory: 2 ** 30 }

/** A new key, as `airgap keygen` writes it. `password` undefined: not encrypted. */
export async function newSecretKey(
  password: string | undefined,
  cost: ScryptCost = defaultCost,
): Promise<{ text: string; publicKey: PublicKey }> {
  const { privateKey } = generateKeyPairSync('ed25519')
  const { d, x } = privateKey.export({ format: 'jwk' })
  const [seed, raw] = [Buffer.from(d!, 'base64url'), Buffer.from(x!, 'base64url')]
  const publicKey = publicKeyOf(raw)
  const salt = randomBytes(32)
  const checked = Buffer.concat([publicKey.minisignId, seed, raw])
  const key = Buffer.concat([checked, blake2b256(Buffer.concat([Buffer.from(algorithm), checked]))])
  const limits = Buffer.alloc(16)
  limits.writeBigUInt64LE(BigInt(cost.operations))
  limits.writeBigUInt64LE(BigInt(cost.memory), 8)
  const head =
    password === undefined
      ? Buffer.concat([Buffer.from(algorithm + plain + checksum), Buffer.alloc(48)])
      : Buffer.concat([Buffer.from(algorithm + encrypted + checksum), salt, limits])
  const body = password === undefined ? key : xor(key, await stream({ password, salt, cost }))
  const comment = `minisign ${password === undefined ? '' : 'encrypted '}secret key ${minisignIdText(publicKey.minisignId)}`
  const text = `untrusted comment: ${comment}\n${Buffer.concat([head, body]).toString('base64')}\n`
  return { text, publicKey }
}

/**
 * Opens a secret key file of minisign. `askPassword` is called only if the key is encrypted. Throws KEY_INVALID for another file and a
 * wrong password; no message contains anything of the key.
 */
export async function openSecretKey(
  text: string,
  { item, askPassword }: { item: string; askPassword: () => Promise<string> },
): Promise<Signer> {
  const [comment, line = '', ...rest] = text.trimEnd().split(/\r?\n/)
  const bytes = decodeBase64(line.trim(), headLength + keyLength)
  const head = bytes?.toString('latin1', 0, 6)
  if (bytes === undefined || rest.length > 0 || !comment?.startsWith('untrusted comment:'))
    throw notSecretKey(item)
  if (head !== algorithm + encrypted + checksum && head !== algorithm + plain + checksum)
    throw notSecretKey(item)
  const body = bytes.subarray(headLength)
  // minisign leaves the checksum of such a key empty
  if (head === algorithm + plain + checksum) return signerFrom(body, { item, likely: 'the file is damaged' })
  const cost = {
    operations: Number(bytes.readBigUInt64LE(38)),
    memory: Number(bytes.readBigUInt64LE(46)),
  }
  if (cost.operations > maxCost.operations || cost.memory > maxCost.memory) throw notSecretKey(item)
  const password = await askPassword()
  const key = xor(body, await stream({ password, salt: bytes.subarray(6, 38), cost }))
  const likely = 'the password is wrong, or the file is damaged'
  const expected = blake2b256(Buffer.concat([Buffer.from(algorithm), key.subarray(0, 72)]))
  if (!timingSafeEqual(expected, key.subarray(72))) throw cannotOpen(item, likely)
  return signerFrom(key, { item, likely })
}

function signerFrom(key: Buffer, { item, likely }: { item: string; likely: string }): Signer {
  const signer = signerOf(key.subarray(8, 40), key.subarray(0, 8))
  // a signature with another public key than that of the seed would reveal the seed
  if (signer.key.raw.equals(key.subarray(40, 72))) return signer
  throw cannotOpen(item, likely)
}

function cannotOpen(item: string, likely: string): AirgapError {
  return new AirgapError('KEY_INVALID', 'the secret key cannot be opened', {
    item,
    likely,
    next: 'check the password: --password-file, AIRGAP_SIGN_PASSWORD, or what was typed',
  })
}

function notSecretKey(item: string): AirgapError {
  return new AirgapError('KEY_INVALID', 'this is not a secret key file', {
    item,
    likely: 'it is a public key, a key of another program (OpenSSH, cosign, GnuPG), or was copied in part',
    next: 'pass a key file that `airgap keygen` or `minisign -G` wrote; for a key elsewhere, use --sign-command',
  })
}

const scryptAsync = promisify<
  Buffer | string,
  Buffer,
  number,
  { N: number; r: number; p: number; maxmem: number },
  Buffer
>(scrypt)

async function stream({
  password,
  salt,
  cost,
}: {
  password: string
  salt: Buffer
  cost: ScryptCost
}): Promise<Buffer> {
  const { N, r, p } = scryptParameters(cost)
  return await scryptAsync(Buffer.from(password), salt, keyLength, {
    N,
    r,
    p,
    maxmem: 128 * r * (N + p + 2) + 2 ** 20,
  })
}

/** `pickparams` of libsodium (pwhash_scryptsalsa208sha256.c). */
export function scryptParameters({ operations, memory }: ScryptCost): { N: number; r: number; p: number } {
  const r = 8
  const most = Math.max(operations, 32_768)
  const isTight = most < memory / 32
  const maxN = isTight ? most / (r * 4) : memory / (r * 128)
  let log2 = 1
  while (log2 < 63 && 2 ** log2 <= maxN / 2) log2++
  const p = isTight ? 1 : Math.max(1, Math.floor(Math.min(Math.floor(most / 4) / 2 ** log2, 0x3fffffff) / r))
  return { N: 2 ** log2, r, p }
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, i) => byte ^ b[i]!))
}
