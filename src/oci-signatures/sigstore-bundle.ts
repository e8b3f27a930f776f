import { type Bundle, bundleFromJSON } from '@sigstore/bundle'
import { dsse } from '@sigstore/core'
import { z } from 'zod'
import { hexOf } from '../core/digest.ts'
import { signPredicate } from './find-signatures.ts'
import { checkKeyless, type KeylessSigner } from './keyless-signer.ts'
import { parseJson, quoted, type SignedSubject, type Verdict } from './signature.ts'
import type { SignerKey } from './signer-keys.ts'
import { isSignedBy, signedName } from './simple-signing.ts'

/** in-toto attestation framework, statement.md; cosign 3 signs one with an empty predicate, and a name of the subject is optional. */
const statementSchema = z.object({
  _type: z.enum(['https://in-toto.io/Statement/v1', 'https://in-toto.io/Statement/v0.1']),
  subject: z.array(
    z.object({ name: z.string().nullish(), digest: z.record(z.string(), z.string()).nullish() }),
  ),
  predicateType: z.string(),
})

/** Checks a bundle (sigstore/protobuf-specs, sigstore_bundle.proto) of cosign 3: a signed statement about the artifact, or its manifest itself, signed. */
export function checkSigstoreBundle(
  bytes: Buffer,
  { signer, subject }: { signer: SignerKey | KeylessSigner; subject: SignedSubject },
): Verdict {
  const bundle = readBundle(parseJson(bytes))
  if (bundle === undefined) return { refused: 'a signature is not a valid sigstore bundle' }
  const verdict =
    signer.type === 'key'
      ? checkKey(bundle, { signer, subject })
      : checkKeyless(bundle, { signer, artifact: subject.bytes })
  if ('refused' in verdict || bundle.content.$case === 'messageSignature') return verdict
  const refused = statementProblem(bundle.content.dsseEnvelope, subject)
  return refused === undefined ? verdict : { refused }
}

/** Returns undefined for what is not such a bundle: the library throws on missing members and on garbage. */
export function readBundle(value: unknown): Bundle | undefined {
  try {
    return bundleFromJSON(value)
  } catch {
    return undefined
  }
}

/** Entries of transparency logs beside a signature by a known key vouch for nothing here. */
function checkKey(
  { content }: Bundle,
  { signer, subject }: { signer: SignerKey; subject: SignedSubject },
): Verdict {
  const isGood =
    content.$case === 'messageSignature'
      ? isSignedBy(signer, { message: subject.bytes, signature: content.messageSignature.signature })
      : content.dsseEnvelope.signatures.some(({ sig }) =>
          isSignedBy(signer, {
            message: dsse.preAuthEncoding(content.dsseEnvelope.payloadType, content.dsseEnvelope.payload),
            signature: sig,
          }),
        )
  return isGood ? { by: signer.fingerprint } : { refused: 'a signature is by another key' }
}

/** Why a signed statement is not the signature of this artifact; undefined if it is. */
function statementProblem(
  { payloadType, payload }: { payloadType: string; payload: Buffer },
  { digest, names }: SignedSubject,
): string | undefined {
  const { data } = statementSchema.safeParse(parseJson(payload))
  if (payloadType !== 'application/vnd.in-toto+json' || data === undefined)
    return 'the signed payload is not a statement'
  // a signed SBOM or scan result does not approve the image
  if (data.predicateType !== signPredicate)
    return `a signed statement is of the type ${quoted(data.predicateType)}, not a signature`
  const subject = data.subject.find(one => one.digest?.['sha256'] === hexOf(digest))
  if (subject === undefined) return 'a signature is for another digest'
  if (subject.name && !names.includes(signedName(subject.name)))
    return `a signature is for the name ${quoted(subject.name)}`
  return undefined
}
