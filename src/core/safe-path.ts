import { AirgapError, type ErrorCode } from './errors.ts'

/**
 * Checks a relative path from an untrusted source (a tar, a manifest's title, `Filename:` of a Packages file) and returns it
 * unchanged. Throws `code` for an absolute path, `..` (path traversal, CWE-22), an empty part, control characters, a backslash,
 * a lone surrogate (not encodable in UTF-8: two such paths would be one file), and above 1,024 bytes or 255 bytes per part (NAME_MAX).
 */
export function safeRelativePath(path: string, code: ErrorCode = 'BUNDLE_CORRUPT'): string {
  const parts = path.split('/')
  const bad =
    path.length === 0 ||
    Buffer.byteLength(path) > 1024 ||
    !path.isWellFormed() ||
    /[\u0000-\u001f\u007f\\]/.test(path) ||
    schemePattern.test(path) ||
    parts.some(part => part === '' || part === '.' || part === '..' || Buffer.byteLength(part) > 255)
  if (bad) throw unsafePath(path, code)
  return path
}

/**
 * Returns the path that a client requests once it has resolved `.` and doubled slashes (RFC 3986 section 5.2.4): `./pool//x.deb` is
 * `pool/x.deb`. `..` is refused, never resolved. Throws `code` as `safeRelativePath` does.
 */
export function normalizeRelativePath(path: string, code: ErrorCode = 'BUNDLE_CORRUPT'): string {
  // without its second slash, https://host/x would be the path https:/host/x
  if (path.startsWith('/') || schemePattern.test(path)) throw unsafePath(path, code)
  const parts = path.split('/').filter(part => part !== '' && part !== '.')
  return safeRelativePath(parts.join('/'), code)
}

/**
 * Encodes the path for a URL: everything but slashes and unreserved characters is escaped, as some servers and proxies decode a
 * bare `+` to a space.
 */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}

const schemePattern = /^[a-z][a-z0-9+.-]*:\/\//i

function unsafePath(path: string, code: ErrorCode): AirgapError {
  return new AirgapError(code, 'the path is unsafe', {
    item: JSON.stringify(path.slice(0, 300)),
    likely: 'the source is damaged or malicious: the path would leave its folder',
    next: 'do not use the source; report it to its publisher',
  })
}

/**
 * Returns whether a symbolic link at `path` of a tree stays inside that tree, whatever other links the tree has: it is relative, and
 * `..` comes only before the first name (after a name it may follow another link upwards). `.` and doubled or trailing slashes have
 * no effect. Control characters and more than 1,024 bytes are refused. Lock and site use this one function, so that whatever is
 * locked can be extracted.
 */
export function isSafeLink({ path, target }: { path: string; target: string }): boolean {
  if (target === '' || target.startsWith('/') || Buffer.byteLength(target) > 1024) return false
  if (!target.isWellFormed()) return false
  if (/[\u0000-\u001f\u007f]/.test(target)) return false
  const parts = target.split('/').filter(part => part !== '' && part !== '.')
  const firstName = parts.findIndex(part => part !== '..')
  const climbs = firstName < 0 ? parts.length : firstName
  return climbs < path.split('/').length && !parts.slice(climbs).includes('..')
}
