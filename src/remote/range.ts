import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import type { OpenedBody } from './contract.ts'
import type { SentResponse } from './transport.ts'

/** Returns headers that request the rest of a representation (RFC 9110 sections 14.2 and 13.1.5). */
export function rangeHeaders(at: { offset: number; validator?: string | undefined }): Record<string, string> {
  if (at.offset === 0) return {}
  return defined({ range: `bytes=${at.offset}-`, 'if-range': at.validator })
}

/** Parses the Content-Range of a 206, or of a 416 (without start). */
export function contentRange(value: string | undefined): { start?: number; size?: number } | undefined {
  const match = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(value?.trim() ?? '')
  if (match === null) return undefined
  return defined({
    start: match[1] === undefined ? undefined : Number(match[1]),
    size: match[3] === '*' ? undefined : Number(match[3]),
  })
}

/**
 * Returns the answer to a (ranged) GET. A 416, and a 206 without a start, have `start: -1`: nothing of their body may be appended.
 * Throws UPSTREAM for any other status.
 */
export function openedBody(response: SentResponse, at: { offset: number }): OpenedBody {
  const { status, headers, body } = response
  const validator = validatorOf(headers)
  if (status === 200 || status === 203) {
    return defined({ body, start: 0, size: sizeOf(headers['content-length']), validator })
  }
  if (status === 206) {
    const range = contentRange(headers['content-range'])
    return defined({ body, start: range?.start ?? -1, size: range?.size, validator })
  }
  body.destroy()
  if (status === 416 && at.offset > 0) return { body, start: -1 }
  throw new AirgapError('UPSTREAM', `the source gave an unexpected answer (${status})`, {
    item: response.url,
    likely: 'the source does not support this, or something on the connection answers instead of it',
    next: 'request the address with `curl -v`',
  })
}

function sizeOf(length: string | undefined): number | undefined {
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined
}

/** Returns what If-Range may carry: a strong ETag, or Last-Modified. */
function validatorOf(headers: Record<string, string>): string | undefined {
  const etag = headers['etag']
  if (etag !== undefined && /^"[\x21\x23-\x7e\x80-\xff]*"$/.test(etag)) return etag
  const modified = headers['last-modified']
  return modified !== undefined && !Number.isNaN(Date.parse(modified)) ? modified : undefined
}
