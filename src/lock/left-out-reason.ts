import { AirgapError, type ErrorCode } from '../core/errors.ts'

/** Errors that concern one manifest of a registry that answers: what is optional is left out then. Wrong digests and outages fail the item. */
export const notCarriable: readonly ErrorCode[] = [
  'NOT_FOUND_UPSTREAM',
  'PLATFORM_MISSING',
  'UNAUTHORIZED',
  'UNSUPPORTED',
  'UPSTREAM_INVALID',
]

/** Why content is left out, as a clause for the lock, which must be the same whatever mirror answered. */
export function leftOutReason({ code, message, cause }: AirgapError): string {
  if (code === 'NOT_FOUND_UPSTREAM') return 'the registry does not have it'
  if (code === 'UNAUTHORIZED') return 'the registry denies access to it'
  return cause instanceof AirgapError ? cause.message : message
}
