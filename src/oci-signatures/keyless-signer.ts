import { X509Certificate as NodeCertificate } from 'node:crypto'
import type { Bundle, TransparencyLogEntry } from '@sigstore/bundle'
import { X509Certificate } from '@sigstore/core'
import { toSignedEntity, Verifier } from '@sigstore/verify'
import { z } from 'zod'
import { parseJson, quoted, type Verdict } from './signature.ts'
import type { TrustedRoot } from './trusted-root.ts'

/** A signer to whom an authority of the trusted root gives a certificate of this identity. */
export interface KeylessSigner {
  type: 'keyless'
  /** exact, or with wildcards */
  identity: string
  isIdentity(identity: string): boolean
  /** of the OpenID Connect token, exact */
  issuer: string
  root: TrustedRoot
}

/** More of them cost time and are no better. */
const maxLogEntries = 8
const codeSigning = '1.3.6.1.5.5.7.3.3'

/**
 * Checks certificate, certificate transparency, log entry and signature at the time of signing, then the identity.
 * `artifact` is what a message signature is for.
 */
export function checkKeyless(
  bundle: Bundle,
  { signer, artifact }: { signer: KeylessSigner; artifact: Buffer },
): Verdict {
  const { tlogEntries, timestampVerificationData, content } = bundle.verificationMaterial
  if (content.$case === 'publicKey') return { refused: 'a signature is by a key, not keyless' }
  if (tlogEntries.length + (timestampVerificationData?.rfc3161Timestamps.length ?? 0) > maxLogEntries)
    return { refused: `a signature has more than ${maxLogEntries} log entries and timestamps` }
  const certificate =
    content.$case === 'certificate' ? content.certificate : content.x509CertificateChain.certificates[0]
  let identity: { name: string; issuer: string }
  try {
    const verifier = new Verifier(signer.root.material, {
      ctlogThreshold: 1,
      tlogThreshold: 1,
      timestampThreshold: 1,
    })
    const verified = verifier.verify(toSignedEntity(bundle, artifact))
    identity = {
      name: verified.identity?.subjectAlternativeName ?? '',
      issuer: verified.identity?.extensions?.issuer ?? '',
    }
    const der = Buffer.from(certificate!.rawBytes)
    const problem = certificateProblem(der) ?? entryProblem(tlogEntries, der)
    if (problem !== undefined) return { refused: problem }
  } catch (error) {
    return { refused: `a keyless signature is not valid: ${messagesOf(error)}` }
  }
  if (signer.issuer === identity.issuer && signer.isIdentity(identity.name))
    return { by: { identity: identity.name, issuer: identity.issuer } }
  return { refused: `a signature is by ${quoted(identity.name)} (issuer ${quoted(identity.issuer)})` }
}

/** The library does not look at these. */
function certificateProblem(der: Buffer<ArrayBuffer>): string | undefined {
  // as sigstore-go: a certificate for a server must not sign
  if (!new NodeCertificate(der).keyUsage?.includes(codeSigning))
    return 'a certificate is not for code signing'
  // the library drops the eighth bit of names, so that two identities would look alike
  const certificate = X509Certificate.parse(der)
  const names = certificate.extension('2.5.29.17')?.valueObj.subs[0]?.subs ?? []
  const issuer =
    certificate.extension('1.3.6.1.4.1.57264.1.8') ?? certificate.extension('1.3.6.1.4.1.57264.1.1')
  const values = [...names, ...(issuer === undefined ? [] : [issuer])].map(({ value }) => value)
  return values.some(value => value.some(byte => byte >= 0x80))
    ? 'the identity in a certificate is not ASCII text'
    : undefined
}

const certificateText = z.string().max(64 * 1024)
const bodySchema = z.object({
  spec: z.union([
    z.object({ signature: z.object({ publicKey: z.object({ content: certificateText }) }) }),
    z.object({ signatures: z.array(z.object({ verifier: certificateText })).length(1) }),
  ]),
})

/**
 * As sigstore-go: an entry is of the certificate, not only of the signature, for which another key can be found afterwards. Bodies of other versions
 * state their certificates elsewhere.
 */
function entryProblem(entries: readonly TransparencyLogEntry[], der: Buffer): string | undefined {
  const first = entries.filter(({ kindVersion }) => kindVersion?.version === '0.0.1')
  const isOfCertificate = first.every(({ canonicalizedBody }) => {
    const { data } = bodySchema.safeParse(parseJson(canonicalizedBody))
    if (data === undefined) return false
    const { spec } = data
    const written = 'signature' in spec ? spec.signature.publicKey.content : spec.signatures[0]!.verifier
    return new NodeCertificate(Buffer.from(written, 'base64')).raw.equals(der)
  })
  return isOfCertificate ? undefined : 'the entry of a transparency log is of another certificate'
}

/** The message of an error of the library and those of its causes. */
function messagesOf(error: unknown): string {
  const messages: string[] = []
  for (let at = error; at instanceof Error && messages.length < 3; at = at.cause) messages.push(at.message)
  return quoted(messages.join(': '))
}
