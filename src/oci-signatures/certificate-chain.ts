import type { X509Certificate } from 'node:crypto'
import { X509Certificate as ParsedCertificate } from '@sigstore/core'
import { weaknessOf } from './signer-keys.ts'

const codeSigning = '1.3.6.1.5.5.7.3.3'
const anyUsage = '2.5.29.37.0'

/** Hashes that collide: anyone could have the certificate of somebody else. */
const weakHashes = /md[245]|sha-?1(?![0-9])/i

/**
 * Checks a chain from the certificate that signed up to the first one that is trusted (RFC 5280, as notation requires it of code signing:
 * specifications, signature-specification.md, "Certificate Requirements"). Returns that authority, or a clause that says why there is none.
 */
export function checkChain(
  chain: readonly X509Certificate[],
  { authorities, at }: { authorities: readonly X509Certificate[]; at: Date },
): { authority: X509Certificate } | { refused: string } {
  const end = chain.findIndex(certificate => authorities.some(({ raw }) => raw.equals(certificate.raw)))
  if (end < 0) return { refused: 'a signature is by a certificate of another authority' }
  for (const [i, certificate] of chain.slice(0, end + 1).entries()) {
    const problem = problemOf(certificate, { depth: i, at })
    if (problem !== undefined) return { refused: problem }
    const issuer = chain[i + 1]
    if (i < end && !isIssued(certificate, issuer!)) return { refused: 'a chain of certificates is not one' }
  }
  return { authority: chain[end]! }
}

function isIssued(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    const hash = certificate.signatureAlgorithm ?? ''
    return !weakHashes.test(hash) && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
  } catch {
    return false
  }
}

/** `depth` 0 is the certificate that signed. */
function problemOf(
  certificate: X509Certificate,
  { depth, at }: { depth: number; at: Date },
): string | undefined {
  const name = depth === 0 ? 'the signing certificate' : 'the certificate of an authority'
  if (at < certificate.validFromDate) return `${name} was not valid yet at ${at.toISOString()}`
  if (at > certificate.validToDate) return `${name} expired at ${certificate.validToDate.toISOString()}`
  const weakness = weaknessOf(certificate.publicKey, spkiOf(certificate))
  if (weakness !== undefined) return `${name}: ${weakness}`
  let parsed: ReturnType<typeof usesOf>
  try {
    parsed = usesOf(certificate)
  } catch {
    return `${name} cannot be read`
  }
  if (depth === 0) {
    if (parsed.isCA) return 'the signing certificate is that of an authority'
    if (!parsed.digitalSignature) return 'the signing certificate is not for signatures'
    const purposes = certificate.keyUsage ?? []
    // none at all: every purpose
    return purposes.length === 0 || purposes.includes(codeSigning) || purposes.includes(anyUsage)
      ? undefined
      : 'the signing certificate is not for code signing'
  }
  if (!parsed.isCA) return 'the certificate of an authority must not issue certificates'
  // RFC 5280 section 4.2.1.9: how many authorities may follow below it
  return parsed.pathLength !== undefined && parsed.pathLength < depth - 1
    ? 'a chain of certificates is longer than its authority permits'
    : undefined
}

function usesOf({ raw }: X509Certificate): {
  isCA: boolean
  pathLength: bigint | undefined
  digitalSignature: boolean
} {
  const parsed = ParsedCertificate.parse(Buffer.from(raw))
  return {
    isCA: parsed.isCA,
    pathLength: parsed.extBasicConstraints?.pathLenConstraint,
    digitalSignature: parsed.extKeyUsage?.digitalSignature ?? false,
  }
}

function spkiOf({ publicKey }: X509Certificate): Buffer {
  return publicKey.export({ format: 'der', type: 'spki' })
}
