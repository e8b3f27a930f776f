import type { X509Certificate } from 'node:crypto'

/** A trusted identity of notation's trust policy: attributes that the subject of a certificate must have; others may be there, too. */
export interface TrustedIdentity {
  /** as written: `x509.subject: C=US, ST=WA, O=example` */
  text: string
  attributes: ReadonlyMap<string, string>
}

const names = ['C', 'ST', 'L', 'O', 'OU', 'CN', 'STREET', 'DC', 'UID', 'serialNumber', 'postalCode']
const namesByUpper = new Map([...names.map(name => [name.toUpperCase(), name] as const), ['S', 'ST']])

/**
 * Parses `x509.subject: C=US, ST=WA, O=example` (RFC 4514, notaryproject specifications, trust-store-trust-policy.md). As there, country,
 * state and organization are mandatory, and each attribute has one value. Returns undefined for anything else.
 */
export function parseTrustedIdentity(text: string): TrustedIdentity | undefined {
  const [, rest = ''] = /^x509\.subject:(.*)$/s.exec(text) ?? []
  const attributes = new Map<string, string>()
  for (const part of splitUnescaped(rest)) {
    const equals = part.indexOf('=')
    const name = namesByUpper.get(part.slice(0, Math.max(equals, 0)).trim().toUpperCase())
    const value = unescaped(part.slice(equals + 1).trim())
    if (name === undefined || value === '' || attributes.has(name)) return undefined
    attributes.set(name, value)
  }
  return ['C', 'ST', 'O'].every(name => attributes.has(name)) ? { text, attributes } : undefined
}

/** Splits at commas, except at those after a backslash. */
function splitUnescaped(text: string): string[] {
  const parts: string[] = []
  let start = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === ',') {
      parts.push(text.slice(start, i))
      start = i + 1
    }
  }
  return [...parts, text.slice(start)]
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, '$1')
}

/** Several values of one attribute match nothing: which of them is meant is not known. */
export function hasAttributes(certificate: X509Certificate, { attributes }: TrustedIdentity): boolean {
  const subject = subjectOf(certificate)
  return [...attributes].every(([name, value]) => subject.get(name) === value)
}

/** Returns the subject of a certificate in one line: `C=US, ST=WA, O=example`. */
export function distinguishedName(certificate: X509Certificate): string {
  const parts = [...subjectOf(certificate)].map(([name, value]) => {
    const values = typeof value === 'string' ? [value] : value
    return values.map(one => `${name}=${one.replaceAll(/[\\,+"<>;=]/g, String.raw`\$&`)}`)
  })
  return parts.flat().join(', ') || '(no subject)'
}

function subjectOf(certificate: X509Certificate): Map<string, string | string[]> {
  const { subject } = certificate.toLegacyObject()
  return new Map(Object.entries(subject) as [string, string | string[]][])
}
