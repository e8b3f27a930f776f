import { createHash, createPublicKey, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { ipBytes } from '../core/ip-bytes.ts'
import {
  bits,
  boolean,
  context,
  identifier,
  integer,
  octets,
  sequence,
  set,
  tagged,
  text,
  time,
} from './der.ts'

/** What a certificate of a site's CA says. */
export interface CertificateRequest {
  /** of the certificate's own key: ECDSA P-256 */
  publicKey: KeyObject
  /** at most 64 characters */
  commonName: string
  from: Date
  until: Date
  /** undefined: the certificate is self-signed, as a CA */
  names: readonly string[] | undefined
}

const oid = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
}

/**
 * Returns a certificate (RFC 5280) as PEM, signed with ECDSA and SHA-256. `issuer` is the CA; its key alone where the certificate
 * is that of the CA itself.
 */
export function makeCertificate(
  request: CertificateRequest,
  issuer: { key: KeyObject; commonName: string },
): string {
  const algorithm = sequence(identifier(oid.ecdsaWithSha256))
  const content = sequence(
    context(0, integer(Buffer.of(2))),
    integer(serialNumber()),
    algorithm,
    nameOf(issuer.commonName),
    sequence(time(request.from), time(request.until)),
    nameOf(request.commonName),
    request.publicKey.export({ type: 'spki', format: 'der' }),
    context(3, sequence(...extensionsOf(request, createPublicKey(issuer.key)))),
  )
  const signature = sign('sha256', content, { key: issuer.key, dsaEncoding: 'der' })
  const der = sequence(content, algorithm, bits(signature))
  return new X509Certificate(der).toString()
}

/** Positive, not zero, and at most 20 bytes (RFC 5280, 4.1.2.2). */
function serialNumber(): Buffer {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x7f) | 0x40
  return bytes
}

function nameOf(commonName: string): Buffer {
  const attribute = (type: string, value: string) => set(sequence(identifier(type), text(value)))
  return sequence(attribute(oid.organization, 'astrago-airgap'), attribute(oid.commonName, commonName))
}

function extensionsOf({ publicKey, names }: CertificateRequest, issuer: KeyObject): Buffer[] {
  const identity = [
    extension(oid.subjectKeyIdentifier, octets(keyIdentifier(publicKey))),
    extension(oid.authorityKeyIdentifier, sequence(tagged(0x80, keyIdentifier(issuer)))),
    extension(oid.extendedKeyUsage, sequence(identifier(oid.serverAuth))),
  ]
  if (names === undefined)
    return [
      extension(oid.basicConstraints, sequence(boolean(true), integer(Buffer.of(0))), { critical: true }),
      // keyCertSign, cRLSign
      extension(oid.keyUsage, bits(Buffer.of(0x06), 1), { critical: true }),
      ...identity,
    ]
  return [
    extension(oid.basicConstraints, sequence(), { critical: true }),
    // digitalSignature
    extension(oid.keyUsage, bits(Buffer.of(0x80), 7), { critical: true }),
    ...identity,
    extension(oid.subjectAltName, sequence(...names.map(generalName))),
  ]
}

function extension(type: string, value: Buffer, { critical = false } = {}): Buffer {
  return sequence(identifier(type), ...(critical ? [boolean(true)] : []), octets(value))
}

/** `iPAddress` or `dNSName` (RFC 5280, 4.2.1.6) */
function generalName(name: string): Buffer {
  return isIP(name) === 0 ? tagged(0x82, Buffer.from(name, 'ascii')) : tagged(0x87, ipBytes(name))
}

/** SHA-1 of the key's bits (RFC 5280, 4.2.1.2): a name, not a proof. An uncompressed point of P-256 has 65 bytes. */
function keyIdentifier(publicKey: KeyObject): Buffer {
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha1').update(spki.subarray(-65)).digest()
}
