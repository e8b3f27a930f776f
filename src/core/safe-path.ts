import { AirgapError, type ErrorCode } from './errors.ts'

/**
 * Checks a relative path that came from elsewhere (a tar, a manifest's title, `Filename:` of a Packages file):
 * no absolute path, no `..`, no empty part, no NUL, newline or other control character, no backslash, no lone surrogate (which
 * UTF-8 does not have: two such paths would be one file), at most 1,024 bytes and 255 bytes a part (NAME_MAX of Linux).
 * Returns the path unchanged. Throws `code` otherwise.
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
 * The path that a client asks for after it has resolved `.` and doubled slashes (RFC 3986 section 5.2.4): `./pool//x.deb` is
 * `pool/x.deb`. `..` is never resolved, but refused. Throws `code` as `safeRelativePath` does.
 */
export function normalizeRelativePath(path: string, code: ErrorCode = 'BUNDLE_CORRUPT'): string {
  // without its second slash, https://host/x would be the path https:/host/x
  if (path.startsWith('/') || schemePattern.test(path)) throw unsafePath(path, code)
  const parts = path.split('/').filter(part => part !== '' && part !== '.')
  return safeRelativePath(parts.join('/'), code)
}

/**
 * The path as a part of a URL, everything escaped but its slashes and unreserved characters: some servers and proxies read a bare
 * `+` as a blank.
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
 * True where a symbolic link at `path` of a tree stays inside that tree, whatever other links the tree has: relative, and up
 * only before the first name (a `..` after a name may follow another link upwards). `.` and doubled or trailing slashes mean
 * nothing. No control characters, at most 1,024 bytes. Builder and site ask the same question: what one locks, the other lays down.
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
