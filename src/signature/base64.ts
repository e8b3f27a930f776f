/**
 * Decodes standard base64 with padding (RFC 4648 section 4), of exactly `length` bytes if that is known. Returns undefined for any other
 * text: line breaks, missing padding, and bits after the end, which would give one value several forms.
 */
export function decodeBase64(text: string, length?: number /* bytes */): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) return undefined
  return length === undefined || bytes.length === length ? bytes : undefined
}
