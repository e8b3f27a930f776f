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
 * Decodes a path once and resolves its `.` parts (RFC 3986 section 5.2.4): apt requests `/debs/x/./app.deb` where an index says
 * so, curl does not. Throws USAGE on everything that another program could read as another path: `..` parts, empty parts,
 * encoded slashes, backslashes, control characters, wrong escapes. A path here never becomes a path of the machine; a proxy in
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
    parts.some((part, i) => part === '..' || (part === '' && i < last))
  if (bad) {
    throw new AirgapError('USAGE', 'the server does not answer such a path', {
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
    throw new AirgapError('USAGE', 'the path has a wrong percent encoding', {
      item: path.slice(0, 300),
      next: 'encode the path as UTF-8 with %XX',
      cause: error,
    })
  }
}

/** curl sends bytes beyond ASCII as they are typed; Node gives one character for each byte. */
function escapeBytes(path: string): string {
  return path.replace(/[\u0080-\u00ff]/g, byte => `%${byte.charCodeAt(0).toString(16)}`)
}
