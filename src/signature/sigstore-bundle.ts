import { createHash } from 'node:crypto'
import { z } from 'zod'
import { decodeBase64 } from './base64.ts'
import { isSignedBy, type PublicKey } from './public-key.ts'
import type { Signer } from './signer.ts'

/**
 * A signature of a file in a Sigstore bundle (sigstore/protobuf-specs, sigstore_bundle.proto) by a key that the bundle only hints at. Such
 * a signature needs neither a certificate nor a transparency log: `cosign verify-blob --key --insecure-ignore-tlog`.
 */
export interface SigstoreSignature {
  /** which key; anyone may write it */
  hint: string
  signature: Buffer
  /** SHA-256 of the file, a hint as well */
  digest: Buffer
}

/** Unknown members are allowed: cosign writes a transparency log entry there, which vouches for nothing here. */
const schema = z.object({
  mediaType: z.enum([
    'application/vnd.dev.sigstore.bundle+json;version=0.1',
    'application/vnd.dev.sigstore.bundle+json;version=0.2',
    'application/vnd.dev.sigstore.bundle+json;version=0.3',
    'application/vnd.dev.sigstore.bundle.v0.3+json',
  ]),
  verificationMaterial: z.object({ publicKey: z.object({ hint: z.string().max(200).optional() }) }),
  messageSignature: z.object({
    messageDigest: z.object({ algorithm: z.literal('SHA2_256'), digest: z.string() }),
    signature: z.string(),
  }),
})

/** Returns undefined for bytes that are not such a bundle with an Ed25519 signature. */
export function parseSigstoreBundle(bytes: Uint8Array): SigstoreSignature | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
  const { data } = schema.safeParse(value)
  if (data === undefined) return undefined
  const signature = decodeBase64(data.messageSignature.signature, 64)
  const digest = decodeBase64(data.messageSignature.messageDigest.digest, 32)
  if (signature === undefined || digest === undefined) return undefined
  return { hint: data.verificationMaterial.publicKey.hint ?? '', signature, digest }
}

export function isSigstoreSignedBy(
  key: PublicKey,
  { message, parsed }: { message: Uint8Array; parsed: SigstoreSignature },
): boolean {
  const digest = createHash('sha256').update(message).digest()
  return digest.equals(parsed.digest) && isSignedBy(key, { message, signature: parsed.signature })
}

/** The `.sigstore.json` file of a signer. */
export async function makeSigstoreBundle(message: Uint8Array, signer: Signer): Promise<string> {
  const digest = createHash('sha256').update(message).digest('base64')
  const signature = (await signer.sign(message)).toString('base64')
  const bundle = {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: signer.key.fingerprint } },
    messageSignature: { messageDigest: { algorithm: 'SHA2_256', digest }, signature },
  }
  return `${JSON.stringify(bundle)}\n`
}
