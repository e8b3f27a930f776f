import { AirgapError } from '../core/errors.ts'
import type { OpenedBody } from './contract.ts'
import type { SentResponse } from './transport.ts'

/** Headers that ask for the rest of a representation (RFC 9110 sections 14.2 and 13.1.5). */
export function rangeHeaders(at: { offset: number; validator?: string | undefined }): Record<string, string> {
  if (at.offset === 0) return {}
  return { range: `bytes=${at.offset}-`, ...(at.validator === undefined ? {} : { 'if-range': at.validator }) }
}

/** Parsed Content-Range of a 206, or of a 416 (no start). */
export function contentRange(value: string | undefined): { start?: number; size?: number } | undefined {
  const match = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(value?.trim() ?? '')
  if (match === null) return undefined
  return {
    ...(match[1] === undefined ? {} : { start: Number(match[1]) }),
    ...(match[3] === '*' ? {} : { size: Number(match[3]) }),
  }
}

/**
 * The answer to a (ranged) GET as the contract has it. A 416, and a 206 that starts elsewhere than asked, are answered as
 * `start: -1` with an empty promise: nothing of their body may be appended anywhere.
 */
export function openedBody(response: SentResponse, at: { offset: number }): OpenedBody {
  const { status, headers, body } = response
  const validator = validatorOf(headers)
  if (status === 200 || status === 203) {
    return {
      body,
      start: 0,
      ...sizeOf(headers['content-length']),
      ...(validator === undefined ? {} : { validator }),
    }
  }
  if (status === 206) {
    const range = contentRange(headers['content-range'])
    return {
      body,
      start: range?.start ?? -1,
      ...(range?.size === undefined ? {} : { size: range.size }),
      ...(validator === undefined ? {} : { validator }),
    }
  }
  body.destroy()
  if (status === 416) {
    if (at.offset > 0) return { body, start: -1 }
  }
  throw new AirgapError('UPSTREAM', `unexpected answer (${status})`, {
    item: response.url,
    likely: 'the source does not offer this, or something on the way answers in its place',
    next: 'look at the address with curl -v',
  })
}

function sizeOf(length: string | undefined): { size?: number } {
  return length !== undefined && /^\d{1,15}$/.test(length) ? { size: Number(length) } : {}
}

/** A strong ETag, or Last-Modified: what If-Range may carry. */
function validatorOf(headers: Record<string, string>): string | undefined {
  const etag = headers['etag']
  if (etag !== undefined && /^"[\x21\x23-\x7e\x80-\xff]*"$/.test(etag)) return etag
  const modified = headers['last-modified']
  return modified !== undefined && !Number.isNaN(Date.parse(modified)) ? modified : undefined
}
