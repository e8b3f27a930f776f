import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { bits, der, integer, octets, oid, sequence, time, utf8, yes } from './der.ts'

/** Certificates as Fulcio and notation's authorities issue them (RFC 5280). */

export interface Issued {
  der: Buffer
  pem: string
  privateKey: KeyObject
  publicKey: KeyObject
  subject: Buffer
}

export const newKeyPair = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
export const spki = (key: KeyObject) => key.export({ format: 'der', type: 'spki' })

const attributeTypes: Record<string, string> = {
  CN: '2.5.4.3',
  C: '2.5.4.6',
  ST: '2.5.4.8',
  O: '2.5.4.10',
  OU: '2.5.4.11',
}

const nameOf = (attributes: readonly [string, string][]) =>
  sequence(...attributes.map(([type, value]) => der(0x31, sequence(oid(attributeTypes[type]!), utf8(value)))))

export const extension = (id: string, value: Buffer, critical = false) =>
  sequence(oid(id), ...(critical ? [yes] : []), octets(value))

export const authorityExtensions = (pathLength?: number) => [
  extension('2.5.29.19', sequence(yes, ...(pathLength === undefined ? [] : [integer(pathLength)])), true),
  extension('2.5.29.15', bits(Buffer.from([0x04]), 2), true),
]

export const signingExtensions = (purpose = '1.3.6.1.5.5.7.3.3') => [
  extension('2.5.29.15', bits(Buffer.from([0x80]), 7), true),
  extension('2.5.29.37', sequence(oid(purpose))),
]

interface Options {
  subject: readonly [string, string][]
  /** absent: self-signed */
  issuer?: Issued
  from?: Date
  to?: Date
  extensions?: Buffer[]
  /** of the parts before signing: the extension that certificate transparency adds */
  lastExtension?: (tbs: Buffer, issuerKey: KeyObject) => Buffer
}

export function issue(options: Options): Issued {
  const { issuer, extensions = signingExtensions(), lastExtension } = options
  const { from = new Date(Date.now() - 3_600_000), to = new Date(Date.now() + 3_600_000) } = options
  const { publicKey, privateKey } = newKeyPair()
  const subject = nameOf(options.subject)
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'))
  const serial = randomBytes(8)
  serial[0] = 1
  const tbs = (all: Buffer[]) =>
    sequence(
      der(0xa0, integer(2)),
      der(0x02, serial),
      algorithm,
      issuer?.subject ?? subject,
      sequence(time(from), time(to)),
      subject,
      spki(publicKey),
      der(0xa3, sequence(...all)),
    )
  const issuerKey = issuer?.publicKey ?? publicKey
  const last = lastExtension?.(tbs(extensions), issuerKey)
  const signed = tbs(last === undefined ? extensions : [...extensions, last])
  const signature = sign('sha256', signed, issuer?.privateKey ?? privateKey)
  const bytes = sequence(signed, algorithm, bits(signature))
  const lines = bytes
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n')
  const pem = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
  return { der: bytes, pem, privateKey, publicKey, subject }
}
