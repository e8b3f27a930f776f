import { z } from 'zod'

const fingerprintSchema = z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256 fingerprint')
const textSchema = z.string().min(1).max(2000)

/** Who signed an artifact, as the lock records it. */
const signedBySchema = z.union([
  /** SHA-256 of a public key */
  fingerprintSchema,
  /** keyless: of the certificate that Fulcio issued */
  z.strictObject({ identity: textSchema, issuer: textSchema }),
  /** notation: the subject of the signing certificate, and SHA-256 of the certificate of the authority that is trusted */
  z.strictObject({ subject: textSchema, authority: fingerprintSchema }),
])
export type SignedBy = z.infer<typeof signedBySchema>

/** For an item's schema, optional: absent where the manifest requires no signature, so that the lock keeps its digest. */
export const signedBysSchema = z.array(signedBySchema).min(1)

/** Returns whose word the digest of an artifact is, as people read it; undefined where no signature was required. */
export function signersText(signers: readonly SignedBy[] | undefined): string | undefined {
  return signers?.map(signerText).join(', ')
}

function signerText(by: SignedBy): string {
  if (typeof by === 'string') return `cosign key ${by}`
  if ('identity' in by) return `keyless: ${by.identity} (issuer ${by.issuer})`
  return `notation: ${by.subject} (authority ${by.authority})`
}
