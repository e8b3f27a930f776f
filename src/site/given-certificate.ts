import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import type { TlsConfig } from './config.ts'
import { missingNames, type ServerCertificate } from './site-ca.ts'

type Files = Extract<TlsConfig, { by: 'files' }>

/**
 * Reads a certificate that the operator provides, and checks what would make clients refuse it: the key belongs to the first certificate,
 * each further one has issued the one before it, it names `host`, and it is valid now. Throws KEY_INVALID, EXPIRED, FILE_NOT_FOUND, PERMISSION.
 */
export async function readGivenCertificate(
  { certificate, key }: Files,
  { host, now }: { host: string; now: Date },
): Promise<ServerCertificate> {
  const chain = await readCertificates(certificate)
  const own = chain[0]!
  const privateKey = parseKey(await readText(key), key)
  if (!own.checkPrivateKey(privateKey)) throw wrongKey({ chain, certificate, key, privateKey })
  checkOrder(chain, certificate)
  if (own.ca)
    throw new AirgapError('KEY_INVALID', 'the first certificate is that of a CA, not of a server', {
      item: certificate,
      likely: 'the certificates are in the wrong order, or the file of the CA was passed',
      next: 'put the certificate of the server first, then the intermediate ones; pass the CA with --tls-ca',
    })
  for (const one of chain) checkTime(one, { path: certificate, now })
  if (missingNames(own, [host]).length > 0)
    throw new AirgapError('KEY_INVALID', `the certificate does not name ${host}`, {
      item: certificate,
      likely: `it is for ${own.subjectAltName ?? 'no name at all: clients ignore the common name'}`,
      next: `pass a certificate for ${host}, or one of its names with --address`,
    })
  return {
    certificate: chain.map(String).join(''),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/**
 * Returns what machines have to trust, as PEM: the file that the operator names, else a self-signed certificate at the end of the chain;
 * undefined where it is one that they are expected to trust already.
 */
export async function readGivenCa({ ca, certificate }: Files): Promise<string | undefined> {
  if (ca !== undefined) return (await readCertificates(ca)).map(String).join('')
  const last = (await readCertificates(certificate)).at(-1)!
  return last.checkIssued(last) ? last.toString() : undefined
}

/** Reads all certificates of a PEM file, at least one. Throws KEY_INVALID. */
export async function readCertificates(path: string): Promise<X509Certificate[]> {
  const blocks = (await readText(path)).match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)
  try {
    if (blocks !== null) return blocks.map(block => new X509Certificate(block))
  } catch {
    // reported below
  }
  throw new AirgapError('KEY_INVALID', 'the file has no valid certificate', {
    item: path,
    likely: 'it is not PEM: DER and PKCS #12 (.pfx) have to be converted',
    next: `openssl x509 -inform DER -in ${path} -out certificate.pem, or openssl pkcs12 -in ${path} -nokeys -out certificate.pem`,
  })
}

function parseKey(text: string, path: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text))
    throw new AirgapError('KEY_INVALID', 'the private key is encrypted', {
      item: path,
      likely: 'it has a passphrase, for which nobody could be asked when the servers start by themselves',
      next: `openssl pkey -in ${path} -out server.key && chmod 600 server.key`,
    })
  try {
    return createPrivateKey(text)
  } catch (cause) {
    throw new AirgapError('KEY_INVALID', 'the file has no valid private key', {
      item: path,
      likely: 'the files of the certificate and the key were swapped, or it is not PEM',
      next: 'pass the private key as PEM with --tls-key',
      cause,
    })
  }
}

function wrongKey(found: {
  chain: readonly X509Certificate[]
  certificate: string
  key: string
  privateKey: KeyObject
}): AirgapError {
  const { chain, certificate, key, privateKey } = found
  const isReversed = chain.some(one => one.checkPrivateKey(privateKey))
  if (isReversed)
    return new AirgapError('KEY_INVALID', 'the certificates are in the wrong order', {
      item: certificate,
      likely: 'the certificate of the server is not the first one',
      next: 'put the certificate of the server first, then each certificate that has issued the one before it',
    })
  return new AirgapError('KEY_INVALID', 'the private key does not belong to the certificate', {
    item: key,
    likely: 'it is the key of another certificate, or of one that was renewed with a new key',
    next: `pass the key of ${certificate}; \`openssl pkey -pubout -in KEY\` and \`openssl x509 -pubkey -noout -in CERTIFICATE\` must agree`,
  })
}

function checkOrder(chain: readonly X509Certificate[], path: string): void {
  for (const [i, issuer] of chain.slice(1).entries()) {
    const one = chain[i]!
    if (one.checkIssued(issuer) && one.verify(issuer.publicKey)) continue
    throw new AirgapError('KEY_INVALID', 'the certificates are not a chain', {
      item: `${path}: certificate ${i + 2} did not issue certificate ${i + 1}`,
      likely: 'they are in another order, or one of another CA is among them',
      next: 'put the certificate of the server first, then each certificate that has issued the one before it',
    })
  }
}

function checkTime(certificate: X509Certificate, { path, now }: { path: string; now: Date }): void {
  const { validFromDate: from, validToDate: until } = certificate
  const clock = `the clock of this host says ${now.toISOString()}`
  if (now > until)
    throw new AirgapError('EXPIRED', `the certificate expired at ${until.toISOString()}`, {
      item: path,
      likely: `it was not renewed, or the clock is wrong: ${clock}`,
      next: 'pass a certificate that is valid, or correct the clock',
    })
  if (now < from)
    throw new AirgapError('CLOCK_WRONG', `the certificate is not valid before ${from.toISOString()}`, {
      item: path,
      likely: `the clock is wrong: ${clock}`,
      next: 'correct the clock of this host',
    })
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'latin1')
  } catch (error) {
    throw fromSystemError(error, path)
  }
}
