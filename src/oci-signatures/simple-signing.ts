import { verify } from 'node:crypto'
import { z } from 'zod'
import { splitRepository } from '../core/reference.ts'
import { canonicalName } from './policy.ts'
import { parseJson, quoted, type SignedSubject, type Verdict } from './signature.ts'
import type { SignerKey } from './signer-keys.ts'

/** containers/image, "signature(5)", as cosign fills it in (SIGNATURE_SPEC.md) */
const payloadSchema = z.object({
  critical: z.object({
    type: z.string(),
    image: z.object({ 'docker-manifest-digest': z.string() }),
    identity: z.object({ 'docker-reference': z.string() }),
  }),
})

/** Checks a signature by a key. Nothing of an unsigned payload is believed: the signature is checked first. */
export function checkSimpleSigning(
  { payload, signature }: { payload: Buffer; signature: Buffer },
  { signer, subject }: { signer: SignerKey; subject: SignedSubject },
): Verdict {
  if (!isSignedBy(signer, { message: payload, signature }))
    return { refused: 'a signature is by another key' }
  const refused = payloadProblem(payload, subject)
  return refused === undefined ? { by: signer.fingerprint } : { refused }
}

/** Why a signed payload is not for this artifact; undefined if it is. */
export function payloadProblem(payload: Buffer, subject: SignedSubject): string | undefined {
  const { data } = payloadSchema.safeParse(parseJson(payload))
  if (data?.critical.type !== 'cosign container image signature')
    return 'the signed payload is not the signature of an image'
  const { image, identity } = data.critical
  if (image['docker-manifest-digest'] !== subject.digest)
    return `a signature is for ${quoted(image['docker-manifest-digest'])}`
  // a publisher signs several images with one key: one of them must not pass for another
  const name = identity['docker-reference']
  return subject.names.includes(signedName(name)) ? undefined : `a signature is for the name ${quoted(name)}`
}

/** Returns the canonical name of what cosign writes: the repository, or the identity that the signer sets, with a tag or a digest, too. */
export function signedName(text: string): string {
  const [name = ''] = text.split('@')
  const colon = name.lastIndexOf(':')
  return canonicalName(splitRepository(colon > name.lastIndexOf('/') ? name.slice(0, colon) : name))
}

/** cosign signs with SHA-256; cosign 3 uses the hash of the curve (sigstore/protobuf-specs, algorithm registry). */
const curveHashes: Record<string, string> = { secp384r1: 'sha384', secp521r1: 'sha512' }

export function isSignedBy(
  { key }: SignerKey,
  { message, signature }: { message: Buffer; signature: Buffer },
): boolean {
  const ofCurve = curveHashes[key.asymmetricKeyDetails?.namedCurve ?? '']
  const hashes = key.asymmetricKeyType === 'ed25519' ? [null] : ['sha256', ofCurve]
  return hashes.some(hash => {
    try {
      return hash !== undefined && verify(hash, message, key, signature)
    } catch {
      return false
    }
  })
}
