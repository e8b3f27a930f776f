import type { FastifyReply } from 'fastify'
import { defined } from '../core/defined.ts'
import type { AirgapError } from '../core/errors.ts'

/** Codes of distribution-spec v1.1, "Error Codes"; the last three are those of the reference registry. */
export type RegistryErrorCode =
  | 'BLOB_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
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
  return JSON.stringify({ errors: [{ code, message, detail: detail ?? {} }] })
}

export function answerWithError(reply: FastifyReply, error: RegistryError): FastifyReply {
  return reply.code(error.status).type('application/json; charset=utf-8').send(registryErrorBody(error))
}

/** Returns the body for a thrown error, of the store or of the server itself. */
export function thrownErrorBody(error: AirgapError): string {
  const { item, likely, next } = error
  return registryErrorBody({
    code: codeOf(error),
    message: error.message,
    detail: defined({ item, likely, next }),
  })
}

function codeOf(error: AirgapError): RegistryErrorCode {
  switch (error.code) {
    case 'METHOD_NOT_ALLOWED':
      return 'UNSUPPORTED'
    case 'NOT_FOUND':
      return 'BLOB_UNKNOWN'
    case 'RANGE_NOT_SATISFIABLE':
      return 'RANGE_INVALID'
    case 'USAGE':
    case 'REFERENCE_INVALID':
      return 'NAME_INVALID'
    case 'UNAUTHORIZED':
      return 'UNAUTHORIZED'
    case 'PERMISSION':
      return 'DENIED'
    default:
      return 'UNKNOWN'
  }
}
