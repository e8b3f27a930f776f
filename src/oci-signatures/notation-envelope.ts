import { constants, type KeyObject, verify, X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { decodeBase64 } from '../signature/base64.ts'
import { parseJson, quoted } from './signature.ts'

/** A JWS envelope of notation (notaryproject specifications, signature-envelope-jws.md) in the flattened JSON form. */
const envelopeSchema = z.object({
  payload: z.string(),
  protected: z.string(),
  header: z.object({ x5c: z.array(z.string()).min(1) }),
  signature: z.string(),
})

const scheme = 'io.cncf.notary.signingScheme'
const expiryHeader = 'io.cncf.notary.expiry'
const payloadType = 'application/vnd.cncf.notary.payload.v1+json'

const headerSchema = z.object({
  alg: z.string(),
  cty: z.string(),
  crit: z.array(z.string()),
  [scheme]: z.string(),
  'io.cncf.notary.signingTime': z.string().optional(),
  [expiryHeader]: z.iso.datetime({ offset: true }).optional(),
})

const maxChain = 10

/** The algorithms that the specification permits, RFC 7518; each with the curve, or the type, of the keys that it is for. */
const algorithms: Record<string, { hash: string; key: string }> = {
  PS256: { hash: 'sha256', key: 'rsa' },
  PS384: { hash: 'sha384', key: 'rsa' },
  PS512: { hash: 'sha512', key: 'rsa' },
  ES256: { hash: 'sha256', key: 'prime256v1' },
  ES384: { hash: 'sha384', key: 'secp384r1' },
  ES512: { hash: 'sha512', key: 'secp521r1' },
}

export interface Envelope {
  /** the certificate that signed first */
  chain: X509Certificate[]
  /** signed by that certificate */
  payload: Buffer
  expiry?: Date
}

/** Parses an envelope and checks the signature with its own first certificate, which nobody vouches for yet. */
export function parseEnvelope(bytes: Buffer): Envelope | { refused: string } {
  const { data: envelope } = envelopeSchema.safeParse(parseJson(bytes))
  const protectedBytes = fromBase64Url(envelope?.protected ?? '')
  const header = headerSchema.safeParse(parseJson(protectedBytes ?? '')).data
  const payload = fromBase64Url(envelope?.payload ?? '')
  const signature = fromBase64Url(envelope?.signature ?? '')
  if (envelope === undefined || header === undefined || payload === undefined || signature === undefined)
    return { refused: 'a notation signature is not a JWS envelope' }
  const problem = headerProblem(header)
  if (problem !== undefined) return { refused: problem }
  const chain = certificatesOf(envelope.header.x5c)
  const [leaf] = chain ?? []
  if (chain === undefined || leaf === undefined)
    return { refused: 'a notation signature has no chain of certificates' }
  const message = Buffer.from(`${envelope.protected}.${envelope.payload}`)
  if (!isGood(message, { key: leaf.publicKey, algorithm: header.alg, signature }))
    return { refused: 'a notation signature is wrong' }
  const expiry = header[expiryHeader]
  return expiry === undefined ? { chain, payload } : { chain, payload, expiry: new Date(expiry) }
}

/** A header that the signer marks as critical must be understood (RFC 7515 section 4.1.11). */
function headerProblem(header: z.infer<typeof headerSchema>): string | undefined {
  // a signing authority states the time itself, so that its certificates are in another trust store
  if (header[scheme] !== 'notary.x509')
    return `a notation signature has the scheme ${quoted(header[scheme])}, which is not supported`
  const unknown = header.crit.find(name => name !== scheme && name !== expiryHeader)
  if (unknown !== undefined) return `a notation signature has an unknown critical header ${quoted(unknown)}`
  if (
    !header.crit.includes(scheme) ||
    (header[expiryHeader] !== undefined && !header.crit.includes(expiryHeader))
  )
    return 'a notation signature does not mark its scheme or expiry as critical'
  return header.cty === payloadType ? undefined : `a notation signature is for ${quoted(header.cty)}`
}

function certificatesOf(x5c: readonly string[]): X509Certificate[] | undefined {
  if (x5c.length > maxChain) return undefined
  try {
    return x5c.map(text => new X509Certificate(decodeBase64(text) ?? Buffer.alloc(0)))
  } catch {
    return undefined
  }
}

function isGood(
  message: Buffer,
  { key, algorithm, signature }: { key: KeyObject; algorithm: string; signature: Buffer },
): boolean {
  const wanted = Object.hasOwn(algorithms, algorithm) ? algorithms[algorithm] : undefined
  const { asymmetricKeyType: type, asymmetricKeyDetails: { namedCurve } = {} } = key
  if (wanted === undefined || wanted.key !== (type === 'ec' ? namedCurve : type)) return false
  try {
    return type === 'ec'
      ? verify(wanted.hash, message, { key, dsaEncoding: 'ieee-p1363' }, signature)
      : verify(
          wanted.hash,
          message,
          { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
          signature,
        )
  } catch {
    return false
  }
}

/** RFC 7515: without padding; one form for each value. */
function fromBase64Url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return text !== '' && bytes.toString('base64url') === text ? bytes : undefined
}
