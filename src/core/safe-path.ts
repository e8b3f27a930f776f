import { AirgapError, type ErrorCode } from './errors.ts'

/**
 * Checks a relative path that came from elsewhere (a tar, a manifest's title, `Filename:` of a Packages file):
 * no absolute path, no `..`, no empty part, no NUL, newline or other control character, no backslash, at most 1,024 bytes.
 * Returns the path unchanged. Throws `code` otherwise.
 */
export function safeRelativePath(path: string, code: ErrorCode = 'BUNDLE_CORRUPT'): string {
  const parts = path.split('/')
  const bad =
    path.length === 0 ||
    Buffer.byteLength(path) > 1024 ||
    /[\u0000-\u001f\u007f\\]/.test(path) ||
    /^[a-z][a-z0-9+.-]*:\/\//i.test(path) ||
    parts.some(part => part === '' || part === '.' || part === '..')
  if (bad) {
    throw new AirgapError(code, 'unsafe path', {
      item: JSON.stringify(path.slice(0, 300)),
      likely: 'the source is damaged or hostile: the path would leave its folder',
      next: 'do not use it; ask whoever made it',
    })
  }
  return path
}

/**
 * True where a symbolic link at `path` of a tree stays inside that tree, whatever other links the tree has: relative, and up
 * only before the first name (a `..` after a name may follow another link upwards). `.` and doubled or trailing slashes mean
 * nothing. No control characters, at most 1,024 bytes. Builder and site ask the same question: what one locks, the other lays down.
 */
export function isSafeLink({ path, target }: { path: string; target: string }): boolean {
  if (target === '' || target.startsWith('/') || Buffer.byteLength(target) > 1024) return false
  if (/[\u0000-\u001f\u007f]/.test(target)) return false
  const parts = target.split('/').filter(part => part !== '' && part !== '.')
  const firstName = parts.findIndex(part => part !== '..')
  const climbs = firstName < 0 ? parts.length : firstName
  return climbs < path.split('/').length && !parts.slice(climbs).includes('..')
}
