import { AirgapError } from '../core/errors.ts'

/** The two parts of a clear-signed document: what was signed (canonical: CRLF, no trailing blanks) and the signature. */
export interface ClearSigned {
  signed: Buffer
  /** ASCII armor with one or more signatures */
  signature: string
}

const begin = '-----BEGIN PGP SIGNED MESSAGE-----'
const middle = '-----BEGIN PGP SIGNATURE-----'
const end = '-----END PGP SIGNATURE-----'

/**
 * Splits exactly one clear-signed document (RFC 9580 section 7). Anything before, after or beside it is refused: text
 * that nobody signed but that a reader of the file would see (CVE-2018-0501, CVE-2019-3462 and their like).
 * Throws SIGNATURE_INVALID.
 */
export function splitClearSigned(bytes: Uint8Array, item: string): ClearSigned {
  // one character per byte: nothing of the text is lost or changed
  const text = Buffer.from(bytes).toString('latin1')
  if (text.includes('\0')) throw refused('it has NUL bytes', item)
  const lines = text.split('\n').map(line => (line.endsWith('\r') ? line.slice(0, -1) : line))
  if (lines[0] !== begin) {
    const later = lines.includes(begin)
    throw refused(later ? 'there is text before the signed document' : 'it is not clear-signed', item)
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
  if (endAt < 0) throw refused('its signature is cut short', item)
  const armor = lines.slice(signatureAt, endAt + 1)
  if (armor.slice(1, -1).some(line => line.startsWith('-'))) throw refused('its signature is malformed', item)
  if (lines.slice(endAt + 1).some(line => line !== '')) {
    throw refused('there is text after the signed document', item)
  }
  return { signed: Buffer.from(body.join('\r\n'), 'latin1'), signature: `${armor.join('\n')}\n` }
}

/** RFC 9580 section 7.2: a line that begins with a dash is escaped; trailing blanks are not signed, so not read either. */
function unescaped(line: string, item: string): string {
  if (line.startsWith('-') && !line.startsWith('- ')) {
    throw refused('a line in it begins with an unescaped dash, as a second document would', item)
  }
  return (line.startsWith('- ') ? line.slice(2) : line).replace(/[ \t\r]+$/, '')
}

function refused(why: string, item: string): AirgapError {
  return new AirgapError('SIGNATURE_INVALID', `the signed document is refused: ${why}`, {
    item,
    likely: 'a proxy or captive portal answered in place of the archive, or someone altered the file',
    next: 'open the URL from this host; use another mirror of the archive (sources: in the manifest) if it stays so',
  })
}
