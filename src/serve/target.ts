import { AirgapError } from '../core/errors.ts'

/** What a request asks for (RFC 9112 §3.2): origin-form and absolute-form; the path is not decoded yet. */
export function parseTarget(url: string): { path: string; query: URLSearchParams } {
  const fragment = url.indexOf('#')
  const target = (fragment < 0 ? url : url.slice(0, fragment)).replace(/^https?:\/\/[^/?]*/i, '')
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  return { path: path || '/', query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)) }
}

/**
 * Decodes a path once. Throws USAGE on whatever could be read as another path by someone: `.` and `..` parts, empty parts,
 * encoded slashes, backslashes, control characters, wrong escapes. Nothing here is ever a path of the machine; a proxy in
 * front, or a client that saves what it gets, may be less strict.
 */
export function decodePath(path: string): string {
  const decoded = decodeEscapes(path)
  const parts = decoded.slice(1).split('/')
  const last = parts.length - 1
  const bad =
    !decoded.startsWith('/') ||
    /%2f|%5c/i.test(path) ||
    /[\u0000-\u001f\u007f\\]/.test(decoded) ||
    parts.some((part, i) => part === '.' || part === '..' || (part === '' && i < last))
  if (!bad) return decoded
  throw new AirgapError('USAGE', 'not a path that this server answers', {
    item: path.slice(0, 300),
    likely: 'a path with `..`, doubled or encoded slashes, or control characters',
    next: 'ask for the path as it stands in the listing of its folder',
  })
}

function decodeEscapes(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch (error) {
    throw new AirgapError('USAGE', 'the path has a wrong percent encoding', {
      item: path.slice(0, 300),
      next: 'encode the path as UTF-8 with %XX',
      cause: error,
    })
  }
}
