import type { Permission, TokenAnswer, TokenRequest } from '../serve/permission.ts'
import type { Authority, GrantAnswer } from './authority.ts'
import { service, tooMany, wrongLogin } from './control.ts'
import { parseAuthorization } from './credentials.ts'
import type { Login } from './logins.ts'
import { type Access, parseScopes } from './scopes.ts'
import { tokenSeconds } from './token.ts'

/**
 * Returns what answers requests for tokens: GET of the distribution project's "Token Authentication Specification", and POST of its "OAuth2
 * Token Authentication" (grant_type `password`, as containerd sends it). There are no refresh tokens: a client would keep one for years,
 * and a password that a user changes or loses would go on working in it.
 */
export function tokenEndpoint(grant: Authority['grant']): NonNullable<Permission['tokens']> {
  return async request => {
    const wanted = parseScopes(request.parameters.getAll('scope'))
    if (wanted === undefined)
      return failure(request, {
        status: 400,
        error: 'invalid_scope',
        message: 'too many scopes for one token',
      })
    const login = request.method === 'GET' ? fromHeader(request) : fromForm(request)
    if (login === 'unreadable') return wrong(request)
    if (login !== undefined && 'error' in login) return failure(request, login)
    return answerOf(request, await grant({ wanted, ...(login && { login }) }))
  }
}

/** undefined: nobody logs in. */
function fromHeader({ caller }: TokenRequest): Login | 'unreadable' | undefined {
  if (caller.authorization === undefined) return undefined
  const credentials = parseAuthorization(caller.authorization)
  if (credentials.scheme !== 'basic') return 'unreadable'
  return { name: credentials.name, password: credentials.password, address: caller.remoteAddress }
}

function fromForm({ parameters, caller }: TokenRequest): Login | Failure {
  const type = parameters.get('grant_type')
  if (type !== 'password')
    return {
      status: 400,
      error: 'unsupported_grant_type',
      message:
        type === 'refresh_token'
          ? 'this server issues no refresh tokens; log in with the password again'
          : 'grant_type must be password',
    }
  const name = parameters.get('username') ?? ''
  const password = parameters.get('password') ?? ''
  return { name: name.normalize('NFC'), password, address: caller.remoteAddress }
}

function answerOf(request: TokenRequest, answer: GrantAnswer): TokenAnswer {
  if ('wait' in answer) {
    const { refusal, headers } = tooMany(answer.wait)
    return { ...failure(request, { status: 429, error: 'slow_down', message: refusal.message }), headers }
  }
  if ('token' in answer) {
    const { token, access } = answer
    // no `issued_at`: clients then count from their own clock, which may be years away from this one
    const body = { token, access_token: token, expires_in: tokenSeconds, scope: scopeText(access) }
    return { status: 200, headers: {}, body }
  }
  return wrong(request)
}

interface Failure {
  status: number
  /** RFC 6749 section 5.2 */
  error: string
  message: string
}

function wrong(request: TokenRequest): TokenAnswer {
  return failure(request, { status: 401, error: 'invalid_grant', message: wrongLogin().message })
}

/** In both forms: clients show the registry's `errors`, libraries of OAuth 2 know `error`. */
function failure({ method }: TokenRequest, { status, error, message }: Failure): TokenAnswer {
  const code = status === 429 ? 'TOOMANYREQUESTS' : status === 401 ? 'UNAUTHORIZED' : 'DENIED'
  return {
    status,
    headers:
      status === 401 && method === 'GET'
        ? { 'www-authenticate': `Basic realm="${service}", charset="UTF-8"` }
        : {},
    body: { errors: [{ code, message, detail: {} }], error, error_description: message },
  }
}

function scopeText(access: readonly Access[]): string {
  return access.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`).join(' ')
}
