import { AirgapError } from '../core/errors.ts'

/** Parses the target of a request (RFC 9112 §3.2: origin-form, absolute-form); the path is not decoded. */
export function parseTarget(url: string): { path: string; query: URLSearchParams } {
  const fragment = url.indexOf('#')
  const target = (fragment < 0 ? url : url.slice(0, fragment)).replace(/^https?:\/\/[^/?]*/i, '')
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  return { path: path || '/', query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)) }
}

/**
 * Decodes a path once and resolves its `.` parts (RFC 3986 section 5.2.4): apt requests `/debs/x/./app.deb` as an index spells it, curl
 * does not. Throws USAGE for everything that another program could interpret as another path: `..` parts, empty parts, encoded slashes,
 * backslashes, control characters, invalid escapes (path confusion, CWE-22). A path here never becomes a path of the machine, but a
 * proxy in front, or a client that saves files, may be less strict.
 */
export function decodePath(path: string): string {
  const decoded = decodeEscapes(path)
  const parts = decoded.slice(1).split('/')
  const last = parts.length - 1
  const bad =
    !decoded.startsWith('/') ||
    /%2f|%5c/i.test(path) ||
    /[\u0000-\u001f\u007f\\]/.test(decoded) ||
    parts.some((part, i) => part === '..' || (part === '' && i < last))
  if (bad) {
    throw new AirgapError('USAGE', 'the path is not in normal form', {
      item: path.slice(0, 300),
      likely: 'the path has `..`, doubled or encoded slashes, or control characters',
      next: 'use the path that the listing of the folder shows',
    })
  }
  // `/files/.` is the folder
  const end = parts[last] === '.' ? [''] : []
  return `/${[...parts.filter(part => part !== '.'), ...end].join('/')}`
}

function decodeEscapes(path: string): string {
  try {
    return decodeURIComponent(escapeBytes(path))
  } catch (error) {
    throw new AirgapError('USAGE', 'the path has an invalid percent encoding', {
      item: path.slice(0, 300),
      next: 'encode the path as UTF-8 with %XX',
      cause: error,
    })
  }
}

/** curl sends non-ASCII bytes as they are typed; Node represents each byte as one character. */
function escapeBytes(path: string): string {
  return path.replace(/[\u0080-\u00ff]/g, byte => `%${byte.charCodeAt(0).toString(16)}`)
}
