import { createHash, X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { checkKeyless, type KeylessSigner } from './keyless-signer.ts'
import { type FoundSignature, parseJson, type SignedSubject, type Verdict } from './signature.ts'
import { readBundle } from './sigstore-bundle.ts'
import { payloadProblem } from './simple-signing.ts'

/**
 * Checks a signature in the format of cosign 2 (SIGNATURE_SPEC.md): certificate and log entry are annotations. They become a bundle for the payload, as
 * in sigstore-go's examples/oci-image-verification.
 */
export function checkKeylessSimpleSigning(
  signature: FoundSignature & { format: 'simple-signing' },
  { signer, subject }: { signer: KeylessSigner; subject: SignedSubject },
): Verdict {
  if (signature.certificate === undefined) return { refused: 'a signature is by a key, not keyless' }
  const bundle = readBundle(asBundle(signature, signature.certificate))
  if (bundle === undefined) return { refused: 'a keyless signature has no valid entry of a transparency log' }
  const verdict = checkKeyless(bundle, { signer, artifact: signature.payload })
  if ('refused' in verdict) return verdict
  const refused = payloadProblem(signature.payload, subject)
  return refused === undefined ? verdict : { refused }
}

/** cosign, pkg/cosign/bundle: a signed entry timestamp and what it is for */
const rekorBundleSchema = z.object({
  SignedEntryTimestamp: z.string(),
  Payload: z.object({
    body: z.string(),
    integratedTime: z.int().nonnegative(),
    logIndex: z.int().nonnegative(),
    logID: z.string().regex(/^[0-9a-f]{64}$/),
  }),
})
const timestampSchema = z.object({ SignedRFC3161Timestamp: z.string() })
const bodySchema = z.object({ kind: z.string(), apiVersion: z.string() })

function asBundle(
  { payload, signature, rekorBundle, timestamp }: FoundSignature & { format: 'simple-signing' },
  certificate: string,
): unknown {
  const { data } = rekorBundleSchema.safeParse(parseJson(rekorBundle ?? ''))
  const body = bodySchema.safeParse(parseJson(Buffer.from(data?.Payload.body ?? '', 'base64'))).data
  const stamp = timestampSchema.safeParse(parseJson(timestamp ?? '')).data
  let der: Buffer
  try {
    der = new X509Certificate(certificate).raw
  } catch {
    return undefined
  }
  if (data === undefined || body === undefined) return undefined
  const { Payload: entry, SignedEntryTimestamp: signedEntryTimestamp } = data
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
    verificationMaterial: {
      certificate: { rawBytes: der.toString('base64') },
      tlogEntries: [
        {
          logIndex: String(entry.logIndex),
          logId: { keyId: Buffer.from(entry.logID, 'hex').toString('base64') },
          kindVersion: { kind: body.kind, version: body.apiVersion },
          integratedTime: String(entry.integratedTime),
          inclusionPromise: { signedEntryTimestamp },
          canonicalizedBody: entry.body,
        },
      ],
      ...(stamp && {
        timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: stamp.SignedRFC3161Timestamp }] },
      }),
    },
    messageSignature: {
      messageDigest: {
        algorithm: 'SHA2_256',
        digest: createHash('sha256').update(payload).digest('base64'),
      },
      signature: signature.toString('base64'),
    },
  }
}
