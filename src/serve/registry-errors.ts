import type { FastifyReply } from 'fastify'
import { defined } from '../core/defined.ts'
import type { AirgapError } from '../core/errors.ts'

export const json = 'application/json; charset=utf-8'

/** Codes of distribution-spec v1.1, "Error Codes"; the last three are those of the reference registry. */
export type RegistryErrorCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'TOOMANYREQUESTS'
  | 'UNAUTHORIZED'
  | 'UNSUPPORTED'
  | 'PAGINATION_NUMBER_INVALID'
  | 'RANGE_INVALID'
  | 'UNKNOWN'

export interface RegistryError {
  status: number
  code: RegistryErrorCode
  message: string
  detail?: Record<string, string>
}

export function registryErrorBody({ code, message, detail }: Omit<RegistryError, 'status'>): string {
  return errorsBody([{ code, message, detail: detail ?? {} }])
}

/** Several errors of one request: a manifest may lack several blobs. */
export function errorsBody(errors: readonly Omit<RegistryError, 'status'>[]): string {
  return JSON.stringify({ errors })
}

export function answerWithError(reply: FastifyReply, error: RegistryError): FastifyReply {
  return reply.code(error.status).type('application/json; charset=utf-8').send(registryErrorBody(error))
}

/** Returns the body for a thrown error, of the store or of the server itself. */
export function thrownErrorBody(error: AirgapError): string {
  return registryErrorBody(thrownError(error, { status: error.httpStatus, code: codeOf(error) }))
}

/** Returns a thrown error as one of the specification, with its advice. */
export function thrownError(
  { message, item, likely, next }: AirgapError,
  { status, code }: Pick<RegistryError, 'status' | 'code'>,
): RegistryError {
  return { status, code, message, detail: defined({ item, likely, next }) }
}

function codeOf(error: AirgapError): RegistryErrorCode {
  switch (error.code) {
    case 'METHOD_NOT_ALLOWED':
      return 'UNSUPPORTED'
    case 'MANIFEST_INVALID':
      return 'MANIFEST_INVALID'
    case 'NOT_FOUND':
      return 'BLOB_UNKNOWN'
    case 'RANGE_NOT_SATISFIABLE':
      return 'RANGE_INVALID'
    case 'USAGE':
    case 'REFERENCE_INVALID':
      return 'NAME_INVALID'
    case 'UNAUTHORIZED':
      return 'UNAUTHORIZED'
    case 'TOO_MANY_REQUESTS':
      return 'TOOMANYREQUESTS'
    case 'PERMISSION':
      return 'DENIED'
    default:
      return 'UNKNOWN'
  }
}

export function unknownName(
  reply: FastifyReply,
  { name, ns }: { name: string; ns: string | undefined },
): FastifyReply {
  return answerWithError(reply, {
    status: 404,
    code: 'NAME_UNKNOWN',
    message: 'the registry does not have this repository',
    detail: defined({
      name,
      ns: ns?.slice(0, 300),
      next: 'check the names in /v2/_catalog; add the image to its list, then lock and build again, or push it here',
    }),
  })
}

export function invalidDigest(reply: FastifyReply, reference: string): FastifyReply {
  return answerWithError(reply, {
    status: 400,
    code: 'DIGEST_INVALID',
    message: 'a digest is sha256: and 64 lower-case hex digits',
    detail: { digest: reference.slice(0, 300) },
  })
}

export function methodNotAllowed(reply: FastifyReply, allowed: readonly string[]): FastifyReply {
  reply.header('allow', allowed.join(', '))
  return answerWithError(reply, {
    status: 405,
    code: 'UNSUPPORTED',
    message: 'this endpoint does not have this method',
    detail: { allow: allowed.join(', ') },
  })
}
