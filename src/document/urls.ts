import { AirgapError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'

/**
 * Parses a URL of a manifest, written at `at`. Throws MANIFEST_INVALID for other text, and for a URL with a user or a password:
 * the lockfile and the bundle carry the URL, and both travel. `insteadOf` is where the native client has its login, for the advice.
 */
export function publicUrl(url: string, at: string, insteadOf?: string): URL {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch (error) {
    throw new AirgapError('MANIFEST_INVALID', 'the text is not a URL', {
      item: `${at}: ${redactUrl(url)}`,
      next: 'write it as https://host/path',
      cause: error,
    })
  }
  if (parsed.username === '' && parsed.password === '') return parsed
  throw new AirgapError('MANIFEST_INVALID', 'the URL contains a user name or a password', {
    item: `${at}: ${parsed.protocol}//…@${parsed.host}`,
    likely: 'the lockfile and the bundle would carry the password',
    next: `remove it from the URL, and write \`machine ${parsed.hostname} login NAME password PASSWORD\` into ~/.netrc${insteadOf === undefined ? '' : ` instead of ${insteadOf}`}`,
  })
}

/** The same for a URL to which paths are appended: a package archive, a repository, an index. It has no query and no fragment. */
export function publicBaseUrl(url: string, at: string, insteadOf?: string): URL {
  const parsed = publicUrl(url, at, insteadOf)
  if (parsed.search === '' && parsed.hash === '') return parsed
  throw new AirgapError('MANIFEST_INVALID', 'the URL contains a query or a fragment', {
    item: `${at}: ${redactUrl(url)}`,
    likely: 'paths are appended to this URL, which would end up in its query',
    next: 'remove everything from `?` or `#` on; a login belongs into ~/.netrc',
  })
}

/**
 * Checks the address of a registry or of a mirror: a host with an optional scheme and path. Throws `code` where it contains a user
 * or a password.
 */
export function refuseLogin(
  address: string,
  at: string,
  code: 'MANIFEST_INVALID' | 'USAGE' = 'MANIFEST_INVALID',
): void {
  const [, scheme = '', authority = ''] = /^((?:[a-z][a-z0-9+.-]*:)?\/\/|)([^/?#]*)/i.exec(address) ?? []
  const end = authority.lastIndexOf('@')
  if (end < 0) return
  const host = authority.slice(end + 1)
  throw new AirgapError(code, 'the address contains a user name or a password', {
    item: `${at}: ${scheme}…@${host}`,
    likely: 'the address is shown in messages and kept in files',
    next: `remove it from the address; log in with \`docker login ${host}\`, or in ~/.netrc where it is not a registry`,
  })
}
