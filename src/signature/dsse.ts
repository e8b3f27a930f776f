import { z } from 'zod'
import { decodeBase64 } from './base64.ts'
import { isSignedBy, type PublicKey } from './public-key.ts'
import type { Signer } from './signer.ts'

/** A DSSE envelope (secure-systems-lab/dsse, envelope.md): a payload with the signatures of several keys. */
export interface Envelope {
  payloadType: string
  payload: Buffer
  /** `keyid`: the fingerprint of the key, a hint */
  signatures: { keyid: string; sig: Buffer }[]
}

const maxSize = 64 * 1024 * 1024 /* bytes */
const maxSignatures = 32

const schema = z.strictObject({
  payloadType: z.string().max(200),
  payload: z.string(),
  signatures: z
    .array(z.strictObject({ keyid: z.string().max(200).default(''), sig: z.string().max(200) }))
    .max(maxSignatures),
})

/** Returns undefined for bytes that are not an envelope with Ed25519 signatures. */
export function parseEnvelope(bytes: Uint8Array): Envelope | undefined {
  if (bytes.length > maxSize) return undefined
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
  const { data } = schema.safeParse(value)
  const payload = decodeBase64(data?.payload ?? '-')
  if (data === undefined || payload === undefined) return undefined
  const signatures: Envelope['signatures'] = []
  for (const { keyid, sig } of data.signatures) {
    const signature = decodeBase64(sig, 64)
    if (signature === undefined) return undefined
    signatures.push({ keyid, sig: signature })
  }
  return { payloadType: data.payloadType, payload, signatures }
}

export function printEnvelope({ payloadType, payload, signatures }: Envelope): string {
  const encoded = signatures.map(({ keyid, sig }) => ({ keyid, sig: sig.toString('base64') }))
  return `${JSON.stringify({ payloadType, payload: payload.toString('base64'), signatures: encoded })}\n`
}

/** Returns the envelope with a signature of the key, in place of one that it made before. */
export async function signEnvelope(envelope: Envelope, { key, sign }: Signer): Promise<Envelope> {
  const others = envelope.signatures.filter(
    ({ sig }) => !isSignedBy(key, { message: signedData(envelope), signature: sig }),
  )
  const sig = await sign(signedData(envelope))
  return { ...envelope, signatures: [...others, { keyid: key.fingerprint, sig }] }
}

/** Returns which of the keys signed; undefined if a signature names one of them and is wrong. */
export function envelopeSigners(envelope: Envelope, keys: readonly PublicKey[]): PublicKey[] | undefined {
  const message = signedData(envelope)
  const signers = new Map<string, PublicKey>()
  for (const { keyid, sig } of envelope.signatures) {
    const key = keys.find(one => isSignedBy(one, { message, signature: sig }))
    if (key !== undefined) signers.set(key.fingerprint, key)
    else if (keys.some(({ fingerprint }) => fingerprint === keyid)) return undefined
  }
  return [...signers.values()]
}

/** The pre-authentication encoding (protocol.md): the bytes that are signed. */
function signedData({ payloadType, payload }: Envelope): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `
  return Buffer.concat([Buffer.from(head), payload])
}
