import type { X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { checkChain } from './certificate-chain.ts'
import { distinguishedName, hasAttributes, type TrustedIdentity } from './distinguished-name.ts'
import { parseEnvelope } from './notation-envelope.ts'
import { parseJson, quoted, type SignedSubject, type Verdict } from './signature.ts'

/** A signer with a certificate of these authorities for one of these subjects. */
export interface NotationSigner {
  type: 'notation'
  authorities: X509Certificate[]
  /** empty: every subject */
  identities: TrustedIdentity[]
}

/** notaryproject specifications, signature-specification.md, "Payload" */
const payloadSchema = z.object({
  targetArtifact: z.object({ mediaType: z.string(), digest: z.string(), size: z.number() }),
})

/**
 * Checks a signature of notation as its trust policy level `strict` does, without revocation lists, which need the network: chain and subject of the
 * certificate, integrity, expiry. Certificates have to be valid `now`: a countersigned timestamp is not evaluated.
 */
export function checkNotation(
  { bytes, envelope }: { bytes: Buffer; envelope: string },
  { signer, subject, now }: { signer: NotationSigner; subject: SignedSubject; now: Date },
): Verdict {
  if (envelope === 'application/cose')
    return { refused: 'a notation signature has a COSE envelope, which is not supported' }
  const parsed = parseEnvelope(bytes)
  if ('refused' in parsed) return parsed
  const { chain, payload, expiry } = parsed
  const trusted = checkChain(chain, { authorities: signer.authorities, at: now })
  if ('refused' in trusted) return trusted
  const [leaf] = chain
  const identity = signer.identities.find(one => hasAttributes(leaf!, one))
  if (signer.identities.length > 0 && identity === undefined)
    return { refused: `a signature is by ${quoted(distinguishedName(leaf!))}` }
  if (expiry !== undefined && expiry <= now)
    return { refused: `a signature expired at ${expiry.toISOString()}` }
  const { data } = payloadSchema.safeParse(parseJson(payload))
  const { digest = '', mediaType, size } = data?.targetArtifact ?? {}
  if (digest !== subject.digest) return { refused: `a signature is for ${quoted(digest)}` }
  if (mediaType !== subject.mediaType || size !== subject.size)
    return { refused: 'a signature is for a manifest of another type or size' }
  return {
    by: {
      subject: distinguishedName(leaf!),
      authority: trusted.authority.fingerprint256.replaceAll(':', '').toLowerCase(),
    },
  }
}
