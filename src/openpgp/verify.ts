import { readFile } from 'node:fs/promises'
import {
  createMessage,
  enums,
  type Key,
  readKeys,
  readSignature,
  type VerifyMessageResult,
  verify,
} from 'openpgp'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import { spansOf } from '../core/spans.ts'
import { splitClearSigned } from './clear-sign.ts'

export interface VerifyOptions {
  /** the only accepted keys */
  keys: Key[]
  now: Date
  /** the verified file, for messages */
  item: string
  /**
   * When a key must be valid: `now`, as apt and gpg judge (default), or when it signed, as rpm does. A key that was revoked because it was
   * compromised, or without a reason, is never valid.
   */
  keysValid?: 'now' | 'when signed'
}

const armor = {
  start: '-----BEGIN PGP PUBLIC KEY BLOCK-----',
  end: '-----END PGP PUBLIC KEY BLOCK-----',
}

/** Reads OpenPGP public keys, binary or armored (also several blocks in a file). Throws KEY_INVALID, FILE_NOT_FOUND. */
export async function readPublicKeys(paths: string[]): Promise<Key[]> {
  const keys: Key[] = []
  const missing: string[] = []
  for (const path of paths) {
    let bytes: Buffer
    try {
      bytes = await readFile(path)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw fromSystemError(error, path)
      missing.push(path)
      continue
    }
    keys.push(...(await parsePublicKeys(bytes, path)))
  }
  if (missing.length > 0) throw noKeys(missing)
  return keys
}

function noKeys(missing: readonly string[]): AirgapError {
  return new AirgapError('FILE_NOT_FOUND', 'the public key of the publisher does not exist', {
    item: missing.join(', '),
    likely: 'it was not downloaded yet; paths under `keys:` are relative to the folder of the manifest',
    next: 'get the key from its publisher, compare its fingerprint, and save it under this path',
  })
}

/** Returns each public key of a file, armored, for the machines of a site. Throws KEY_INVALID. */
export async function armoredKeys(bytes: Buffer, path: string): Promise<string[]> {
  return (await parsePublicKeys(bytes, path)).map(key => key.armor())
}

async function parsePublicKeys(bytes: Buffer, path: string): Promise<Key[]> {
  const fail = (likely: string, cause?: unknown) =>
    new AirgapError('KEY_INVALID', 'the file has no valid OpenPGP public key', {
      item: path,
      likely,
      next: 'export the archive key again: gpg --armor --export FINGERPRINT > key.asc',
      cause,
    })
  const text = bytes.toString('latin1')
  if (text.includes('PRIVATE KEY BLOCK')) throw fail('it contains a private key')
  const blocks = spansOf(text, armor)
  let keys: Key[]
  try {
    keys =
      blocks.length > 0
        ? (await Promise.all(blocks.map(armoredKeys => readKeys({ armoredKeys })))).flat()
        : await readKeys({ binaryKeys: new Uint8Array(bytes) })
  } catch (error) {
    throw fail('it is not an exported key but a keybox, an HTML page or a damaged file', error)
  }
  if (keys.length === 0) throw fail('it is empty')
  if (keys.some(key => key.isPrivate())) throw fail('it contains a private key')
  return keys
}

export interface VerifiedText {
  text: string
  /** of the primary key that signed, in upper case */
  fingerprint: string
}

/** Verifies `InRelease` and returns the signed text only. Throws SIGNATURE_INVALID. */
export async function verifyClearSigned(bytes: Uint8Array, options: VerifyOptions): Promise<VerifiedText> {
  const { signed, signature } = splitClearSigned(bytes, options.item)
  const signer = await verifySignature({ signed, signature, types: [enums.signature.text] }, options)
  return { text: signed.toString('utf8').replaceAll('\r\n', '\n'), fingerprint: fingerprintOf(signer) }
}

/** Verifies `Release` against `Release.gpg` and returns its text. Throws SIGNATURE_INVALID. */
export async function verifyDetached(
  signed: Uint8Array,
  signature: Uint8Array,
  options: VerifyOptions,
): Promise<VerifiedText> {
  const types = [enums.signature.binary, enums.signature.text]
  const text = Buffer.from(signature).toString('latin1')
  const signer = await verifySignature({ signed, signature: text, types }, options)
  return { text: Buffer.from(signed).toString('utf8'), fingerprint: fingerprintOf(signer) }
}

/** Verifies bytes against an unarmored signature packet (an rpm's header) and returns the signing key. Throws SIGNATURE_INVALID. */
export async function verifyPacket(
  signed: Uint8Array,
  signature: Uint8Array,
  options: VerifyOptions,
): Promise<{ fingerprint: string }> {
  const signer = await verifySignature({ signed, signature, types: [enums.signature.binary] }, options)
  return { fingerprint: fingerprintOf(signer) }
}

function fingerprintOf(key: Key): string {
  return key.getFingerprint().toUpperCase()
}

interface Signed {
  signed: Uint8Array
  /** armored text, or packets */
  signature: string | Uint8Array
  types: enums.signature[]
}

/**
 * One good signature by an accepted key is enough; signatures by other keys are ignored. A wrong one by an accepted key refuses the
 * whole, as in apt: the file or the signature was altered.
 */
async function verifySignature({ signed, signature, types }: Signed, options: VerifyOptions): Promise<Key> {
  let result: VerifyMessageResult
  try {
    const parsed =
      typeof signature === 'string'
        ? await readSignature({ armoredSignature: signature })
        : await readSignature({ binarySignature: signature })
    const message = await createMessage({ binary: new Uint8Array(signed) })
    result = await verify({
      message,
      signature: parsed,
      verificationKeys: options.keys,
      date: options.now,
      format: 'binary',
    })
  } catch (error) {
    throw invalid('the signature cannot be read', options.item, [], { cause: error })
  }
  const reasons: string[] = []
  let signer: Key | undefined
  let wrong = false
  let newest = new Date(0)
  for (const one of result.signatures) {
    const id = one.keyID.toHex().toUpperCase()
    const key = options.keys.find(candidate => candidate.getKeys(one.keyID).length > 0)
    if (!key) {
      reasons.push(`${id}: not one of the accepted keys`)
      continue
    }
    try {
      const created = (await one.signature).packets[0]?.created
      if (created && created > newest) newest = created
      await one.verified
      const packet = (await one.signature).packets[0]
      if (!packet || packet.signatureType === null || !types.includes(packet.signatureType)) {
        throw new AirgapError('SIGNATURE_INVALID', 'the signature is of another type')
      }
      // `verify` requires a key that was valid when it signed; one that has expired or was retired since counts only for rpm
      const judgedAt = options.keysValid === 'when signed' ? packet.created : options.now
      await key.getSigningKey(one.keyID, judgedAt ?? options.now)
      signer ??= key
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      wrong ||= /digest did not match|verification failed/i.test(message)
      reasons.push(`${id}: ${message}`)
    }
  }
  if (signer === undefined || wrong)
    throw invalid('there is no good signature by an accepted key', options.item, reasons, {
      advice: clockAdvice(),
    })
  return signer

  /** A wrong clock makes good signatures look as if they were of the future, and good keys as if they had expired. */
  function clockAdvice(): Advice | undefined {
    const shown = `the clock of this host shows ${day(options.now)}`
    if (newest.getTime() > options.now.getTime() + 86_400_000)
      return {
        likely: `${shown}, but the file was signed on ${day(newest)}: the clock is wrong`,
        next: 'set the clock (`timedatectl set-ntp true`, or `date -s`), then run the same command again',
      }
    if (!reasons.some(reason => /expired/i.test(reason))) return undefined
    return {
      likely: `the key has expired, or the clock is wrong (${shown})`,
      next: "check the clock with `date`; if it is right, get the archive's current key from a source that you trust and list it under `keys:`",
    }
  }
}

interface Advice {
  likely: string
  next: string
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10)
}

function invalid(
  what: string,
  item: string,
  reasons: string[],
  { advice, cause }: { advice?: Advice | undefined; cause?: unknown } = {},
): AirgapError {
  const isWeak = reasons.some(reason => /too weak|insecure/i.test(reason))
  return new AirgapError('SIGNATURE_INVALID', reasons.length ? `${what} (${reasons.join('; ')})` : what, {
    item,
    likely: isWeak
      ? 'the key or its hash algorithm is too weak: RSA below 2048 bits, DSA, MD5 or SHA-1 signatures can be forged'
      : 'the file was altered, or the archive signs with a key that has expired or that the manifest does not list',
    next: isWeak
      ? 'look for a stronger key of the archive (Launchpad signs its archives with 4096-bit keys since 2024) and list it under `keys:`; there is no way to accept a weak one'
      : "get the archive's current key from a source that you trust and list it under `keys:`",
    ...advice,
    cause,
  })
}
