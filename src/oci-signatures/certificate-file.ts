import { X509Certificate } from 'node:crypto'

const certificatePattern = /^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----$/

/** Returns the certificates of a PEM file, undefined for anything else. */
export function parseCertificates(text: string): X509Certificate[] | undefined {
  const blocks = text
    .replaceAll('\r\n', '\n')
    .split(/(?<=-----END CERTIFICATE-----)/)
    .map(block => block.trim())
    .filter(block => block !== '')
  if (blocks.length === 0 || blocks.length > 32 || !blocks.every(block => certificatePattern.test(block)))
    return undefined
  try {
    return blocks.map(block => new X509Certificate(block))
  } catch {
    return undefined
  }
}
