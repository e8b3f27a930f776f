import { AirgapError } from '../core/errors.ts'
import { withoutTrailing } from '../core/trim.ts'

/** The parts of a clear-signed document: the signed text (canonical: CRLF, no trailing blanks) and the signature. */
export interface ClearSigned {
  signed: Buffer
  /** ASCII armor with one or more signatures */
  signature: string
}

const begin = '-----BEGIN PGP SIGNED MESSAGE-----'
const middle = '-----BEGIN PGP SIGNATURE-----'
const end = '-----END PGP SIGNATURE-----'

/**
 * Splits exactly one clear-signed document (RFC 9580 section 7). Anything before or after it is refused: a reader of the file would use
 * text that is not signed (CVE-2018-0501 in apt). Throws SIGNATURE_INVALID.
 */
export function splitClearSigned(bytes: Uint8Array, item: string): ClearSigned {
  // one character per byte, so that no byte is lost or changed
  const text = Buffer.from(bytes).toString('latin1')
  if (text.includes('\0')) throw refused('it has NUL bytes', item)
  const lines = text.split('\n').map(line => (line.endsWith('\r') ? line.slice(0, -1) : line))
  if (lines[0] !== begin) {
    const later = lines.includes(begin)
    throw refused(later ? 'text precedes the signed document' : 'it is not clear-signed', item)
  }
  const blank = lines.indexOf('')
  const headers = lines.slice(1, blank < 0 ? undefined : blank)
  if (blank < 0 || headers.some(line => !/^Hash: [A-Za-z0-9, -]+$/.test(line))) {
    throw refused('its armor headers are malformed', item)
  }
  const signatureAt = lines.indexOf(middle, blank + 1)
  if (signatureAt < 0) throw refused('it has no signature', item)
  const body = lines.slice(blank + 1, signatureAt).map(line => unescaped(line, item))
  const endAt = lines.indexOf(end, signatureAt + 1)
  if (endAt < 0) throw refused('its signature is truncated', item)
  const armor = lines.slice(signatureAt, endAt + 1)
  if (armor.slice(1, -1).some(line => line.startsWith('-'))) throw refused('its signature is malformed', item)
  if (lines.slice(endAt + 1).some(line => line !== '')) {
    throw refused('text follows the signed document', item)
  }
  return { signed: Buffer.from(body.join('\r\n'), 'latin1'), signature: `${armor.join('\n')}\n` }
}

/** RFC 9580 section 7.2: a line that begins with a dash is escaped; trailing blanks are not signed, and therefore removed. */
function unescaped(line: string, item: string): string {
  if (line.startsWith('-') && !line.startsWith('- ')) {
    throw refused('a line begins with an unescaped dash, as that of a second document would', item)
  }
  return withoutTrailing(line.startsWith('- ') ? line.slice(2) : line, ' \t\r')
}

function refused(why: string, item: string): AirgapError {
  return new AirgapError('SIGNATURE_INVALID', `the signed document is invalid: ${why}`, {
    item,
    likely: 'a proxy or captive portal answered instead of the archive, or the file was altered',
    next: 'open the URL from this host; if the problem persists, use another mirror of the archive (`sources:` in the manifest)',
  })
}
