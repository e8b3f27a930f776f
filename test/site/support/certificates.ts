import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { makeCertificate } from '../../../src/site/certificate.ts'

const day = 24 * 60 * 60_000

/** A CA or a certificate of it, with its key. */
export interface TestCertificate {
  key: KeyObject
  commonName: string
  /** PEM */
  certificate: string
  /** PEM */
  keyText: string
}

/** Makes a CA: `names` undefined; or a certificate for these names. Valid from ten days ago for a hundred days, unless told otherwise. */
export function testCertificate(
  options: {
    issuer?: TestCertificate
    names?: readonly string[] | undefined
    from?: Date
    until?: Date
    commonName?: string
  } = {},
): TestCertificate {
  const { issuer, names, commonName = names?.[0] ?? 'test CA' } = options
  const { from = new Date(Date.now() - 10 * day), until = new Date(Date.now() + 90 * day) } = options
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const by = issuer ?? { key: privateKey, commonName }
  const certificate = makeCertificate({ publicKey, commonName, from, until, names }, by)
  const keyText = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { key: privateKey, commonName, certificate, keyText }
}
