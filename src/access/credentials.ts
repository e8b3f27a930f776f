/** What an Authorization header says. */
export type Credentials =
  | { scheme: 'basic'; name: string; password: string }
  | { scheme: 'bearer'; token: string }
  /** another scheme, or what cannot be read: treated as a wrong password */
  | { scheme: 'unreadable' }

/** Longest header that is read; tokens of this site are shorter (scopes.ts). */
const maxLength = 8 << 10 /* characters */

/** Parses an Authorization header: Basic (RFC 7617, always UTF-8) or Bearer (RFC 6750). A name ends at the first colon. */
export function parseAuthorization(header: string): Credentials {
  const [, scheme = '', value = ''] =
    header.length <= maxLength ? (/^([A-Za-z]+) +(\S+) *$/.exec(header) ?? []) : []
  if (scheme.toLowerCase() === 'bearer') return { scheme: 'bearer', token: value }
  if (scheme.toLowerCase() !== 'basic' || !/^[A-Za-z0-9+/]*={0,2}$/.test(value))
    return { scheme: 'unreadable' }
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(value, 'base64'),
    )
    const colon = text.indexOf(':')
    if (colon < 0) return { scheme: 'unreadable' }
    return { scheme: 'basic', name: text.slice(0, colon).normalize('NFC'), password: text.slice(colon + 1) }
  } catch {
    // not UTF-8
    return { scheme: 'unreadable' }
  }
}
