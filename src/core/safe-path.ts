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
