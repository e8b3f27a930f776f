import { basename } from 'node:path'
import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import type { SignatureFile, SignatureFormat } from './files.ts'
import { isMinisignedBy, parseMinisign } from './minisign-signature.ts'
import { minisignIdText, type PublicKey } from './public-key.ts'
import { isSigstoreSignedBy, parseSigstoreBundle } from './sigstore-bundle.ts'
import { isSshSigned, parseSshSignature } from './ssh-signature.ts'

/** A signature that one of the given keys made. */
export interface GoodSignature {
  path: string
  format: SignatureFormat
  key: PublicKey
  /** of minisign: covered by the signature, but written by the signer: escape it before printing */
  trustedComment?: string
}

/** A signature that none of the given keys made. It vouches for nothing. */
export interface UnknownSignature {
  path: string
  format: SignatureFormat
  /** the key that did make it: known only from a format that contains it (ssh) */
  key?: PublicKey
  /** what the file says about the key; anyone may write it */
  hint?: string
}

export interface SignatureReport {
  good: GoodSignature[]
  unknown: UnknownSignature[]
}

/**
 * Verifies signatures of a statement. Each may have been made by any of the keys. Throws SIGNATURE_INVALID for a file in another form,
 * a signature that names one of the keys and is wrong, and one that is wrong under the key that it contains.
 */
export function verifySignatures(
  statement: Uint8Array,
  { signatures, keys }: { signatures: readonly SignatureFile[]; keys: readonly PublicKey[] },
): SignatureReport {
  const report: SignatureReport = { good: [], unknown: [] }
  for (const file of signatures) {
    const { good, unknown } = verifiers[file.format](statement, file, keys)
    if (good !== undefined) report.good.push({ path: file.path, format: file.format, ...good })
    if (unknown !== undefined) report.unknown.push({ path: file.path, format: file.format, ...unknown })
  }
  return report
}

/** Returns the keys that made at least one of the signatures, each once: a threshold counts keys, not files. */
export function signersOf({ good }: SignatureReport): PublicKey[] {
  return [...new Map(good.map(({ key }) => [key.raw.toString('hex'), key])).values()]
}

interface Verdict {
  good?: Pick<GoodSignature, 'key' | 'trustedComment'>
  unknown?: Pick<UnknownSignature, 'key' | 'hint'>
}

type Verifier = (message: Uint8Array, file: SignatureFile, keys: readonly PublicKey[]) => Verdict

const verifiers: Record<SignatureFormat, Verifier> = {
  minisign(message, file, keys) {
    const parsed = parseMinisign(file.bytes)
    if (parsed === undefined) throw notSignature(file)
    const key = keys.find(one => isMinisignedBy(one, { message, parsed }))
    if (key !== undefined) return { good: { key, trustedComment: parsed.trustedComment } }
    const named = keys.find(one => one.minisignId.equals(parsed.keyId))
    if (named !== undefined) throw wrong(file, named)
    return { unknown: { hint: minisignIdText(parsed.keyId) } }
  },
  ssh(message, file, keys) {
    const parsed = parseSshSignature(file.bytes)
    if (parsed === undefined) throw notSignature(file)
    if (!isSshSigned(message, parsed)) throw wrong(file, parsed.key)
    const key = keys.find(({ raw }) => raw.equals(parsed.key.raw))
    return key === undefined ? { unknown: { key: parsed.key } } : { good: { key } }
  },
  sigstore(message, file, keys) {
    const parsed = parseSigstoreBundle(file.bytes)
    if (parsed === undefined) throw notSignature(file)
    const key = keys.find(one => isSigstoreSignedBy(one, { message, parsed }))
    if (key !== undefined) return { good: { key } }
    const named = keys.find(({ fingerprint }) => fingerprint === parsed.hint)
    if (named !== undefined) throw wrong(file, named)
    return { unknown: defined({ hint: parsed.hint === '' ? undefined : parsed.hint }) }
  },
}

function notSignature({ path, format }: SignatureFile): AirgapError {
  return new AirgapError('SIGNATURE_INVALID', `not a signature in the format of ${format}`, {
    item: path,
    likely: 'the file was damaged while it was copied, or made with other options or another type of key',
    next: `copy ${basename(path)} again from the host that signed the bundle, or have the bundle signed again`,
  })
}

function wrong({ path }: SignatureFile, { fingerprint }: PublicKey): AirgapError {
  return new AirgapError('SIGNATURE_INVALID', 'the signature is wrong', {
    item: `${path}: key ${fingerprint}`,
    likely: 'the signed file was changed afterwards, or belongs to another bundle',
    next: 'do not use this bundle; copy it again with all files next to it, from the host that signed it',
  })
}
