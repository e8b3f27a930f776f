import type { ByteRange } from '../core/descriptor.ts'

/** `ignored`: send the whole content; `unsatisfiable`: answer 416. */
export type RangeAnswer = ByteRange | 'ignored' | 'unsatisfiable'

/**
 * Parses a Range header (RFC 9110 §14.1.2, §14.2) for content of `size` bytes. Other units, several ranges and malformed text are
 * ignored, as the RFC allows: servers that answered many ranges could be made to send a file a thousand times (CVE-2011-3192). A
 * reversed range and one that begins beyond the end are unsatisfiable.
 */
export function parseRange(header: string, size: number /* bytes */): RangeAnswer {
  const found = /^bytes=[ \t]*(\d{0,16})-(\d{0,16})[ \t]*$/i.exec(header)
  if (found === null) return 'ignored'
  const [, first = '', last = ''] = found
  if (first === '' && last === '') return 'ignored'
  if (first === '') {
    const suffix = Number(last)
    return suffix === 0 || size === 0 ? 'unsatisfiable' : { start: Math.max(0, size - suffix), end: size }
  }
  const start = Number(first)
  const end = last === '' ? size : Math.min(Number(last) + 1, size)
  return start >= size || end <= start ? 'unsatisfiable' : { start, end }
}

/** Returns whether an If-None-Match header lists this entity tag (RFC 9110 §13.1.2, weak comparison). */
export function matchesEtag(header: string, etag: string): boolean {
  if (header.trim() === '*') return true
  return header.split(',').some(tag => tag.trim().replace(/^W\//, '') === etag)
}

/** Returns whether the If-Range header (RFC 9110 §13.1.5) of a client with a part of the content still applies. */
export function matchesIfRange(
  header: string,
  { etag, lastModified }: { etag: string; lastModified?: string },
): boolean {
  const value = header.trim()
  return value.startsWith('"') ? value === etag : lastModified !== undefined && value === lastModified
}

/**
 * Returns whether If-Modified-Since (RFC 9110 §13.1.3) is exactly the date that was sent: a site whose clock was set back has newer
 * content with an earlier date, and apt would keep the old index for ever.
 */
export function isSameDate(header: string, lastModified: string): boolean {
  return header.trim() === lastModified
}
