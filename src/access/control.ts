import { createPublicKey } from 'node:crypto'
import { AirgapError } from '../core/errors.ts'
import type { Caller, Decision, NeededAccess, Permission } from '../serve/permission.ts'
import { type Credentials, parseAuthorization } from './credentials.ts'
import type { KnownUser, Login, LoginAnswer } from './logins.ts'
import { mayDo, roleFor } from './roles.ts'
import { scopeOf } from './scopes.ts'
import { allows, holds, type SteadyClock, type TokenClaims, tokenReader } from './token.ts'

/** What decides on requests, as data: the supervisor sends it to the serving processes, and again after each change. */
export interface AccessState {
  /** identity of the site */
  site: string
  requireLogin: boolean
  users: KnownUser[]
  /** of the tokens: DER, base64 */
  publicKey: string
}

export interface ControlOptions {
  state: () => AccessState
  login: (login: Login) => Promise<LoginAnswer>
  clock: SteadyClock
  /** Returns the URL at which a client gets tokens; undefined at a server that takes passwords only. */
  realm?: (caller: Caller) => string
}

/** The name of the service in challenges and tokens: clients keep tokens apart by it, and by the realm. */
export const service = 'offline-deploy'

/** Decides on the requests of one server. */
export function accessControl({ state, login, clock, realm }: ControlOptions): Permission {
  let seen: AccessState | undefined
  let users: ReadonlyMap<string, KnownUser> = new Map()
  let readToken: (token: string) => TokenClaims | undefined = () => undefined

  /** The state has changed where it is another object. */
  function now(): AccessState {
    const current = state()
    if (current === seen) return current
    if (current.publicKey !== seen?.publicKey)
      readToken = tokenReader(
        createPublicKey({ key: Buffer.from(current.publicKey, 'base64'), format: 'der', type: 'spki' }),
      )
    users = new Map(current.users.map(user => [user.name, user]))
    seen = current
    return current
  }

  /** Header of RFC 9110 section 11.6.1; every value is our own, or was checked by a pattern without quotes. */
  function challenge(needed: NeededAccess, caller: Caller, error?: string): Record<string, string> {
    if (realm === undefined) return { 'www-authenticate': `Basic realm="${service}", charset="UTF-8"` }
    const scope = scopeOf(needed)
    const parts = [`realm="${realm(caller)}"`, `service="${service}"`]
    if (scope !== undefined) parts.push(`scope="${scope}"`)
    if (error !== undefined) parts.push(`error="${error}"`)
    return {
      'www-authenticate': `Bearer ${parts.join(',')}`,
      // docker before 24 takes a challenge of this version only
      'docker-distribution-api-version': 'registry/2.0',
    }
  }

  function refuse(
    refusal: AirgapError,
    { needed, caller, error }: { needed: NeededAccess; caller: Caller; error?: string },
  ): Decision {
    return { refusal, headers: refusal.code === 'UNAUTHORIZED' ? challenge(needed, caller, error) : {} }
  }

  async function byPassword(
    { name, password }: Extract<Credentials, { scheme: 'basic' }>,
    { needed, caller }: { needed: NeededAccess; caller: Caller },
  ): Promise<Decision> {
    const answer = await login({ name, password, address: caller.remoteAddress })
    if ('wait' in answer) return tooMany(answer.wait)
    if ('wrong' in answer) return refuse(wrongLogin(), { needed, caller })
    return byRole(answer.user, needed)
  }

  function byToken(token: string, { needed, caller }: { needed: NeededAccess; caller: Caller }): Decision {
    const { site } = now()
    const claims = readToken(token)
    const invalid = () => refuse(invalidToken(), { needed, caller, error: 'invalid_token' })
    if (claims === undefined || !holds(claims, { site, clock })) return invalid()
    const user = users.get(claims.sub)
    // of a user who was removed, or has got another password or role
    if (claims.sub !== '' && user?.stamp !== claims.stamp) return invalid()
    if (user === undefined && !(permission.readsFreely() && needed.action === 'pull'))
      return refuse(loginNeeded(needed), { needed, caller })
    if (user !== undefined && !mayDo(user.role, needed.action)) return byRole(user, needed)
    const { action, repository, special } = needed
    const isAllowed =
      special === 'catalog'
        ? allows(claims, { type: 'registry', name: 'catalog', action: '*' })
        : repository === undefined || allows(claims, { type: 'repository', name: repository, action })
    if (!isAllowed) return refuse(narrowToken(), { needed, caller, error: 'insufficient_scope' })
    return user === undefined ? {} : { user: user.name }
  }

  const permission: Permission = {
    readsFreely: () => !now().requireLogin,
    hasUsers: () => now().users.length > 0,
    async check(needed, caller) {
      now()
      if (caller.authorization === undefined) return refuse(loginNeeded(needed), { needed, caller })
      const credentials = parseAuthorization(caller.authorization)
      if (credentials.scheme === 'basic') return await byPassword(credentials, { needed, caller })
      if (credentials.scheme === 'bearer' && realm !== undefined)
        return byToken(credentials.token, { needed, caller })
      return refuse(wrongLogin(), { needed, caller })
    },
  }
  return permission
}

function byRole({ name, role }: KnownUser, { action }: NeededAccess): Decision {
  if (mayDo(role, action)) return { user: name }
  return {
    refusal: new AirgapError('PERMISSION', `the role ${role} does not include ${action}`, {
      likely: `the user ${name} was added without --role ${roleFor(action)}`,
      next: `log in as a user with the role ${roleFor(action)}; \`offline-deploy users list\` shows the roles`,
    }),
    headers: {},
    user: name,
  }
}

/** The same for an unknown user and for a wrong password: nobody can find out which names exist. */
export function wrongLogin(): AirgapError {
  return new AirgapError('UNAUTHORIZED', 'the user name or the password is wrong', {
    next: 'log in again; an administrator of the site sets passwords with `offline-deploy users password`',
  })
}

export function tooMany(seconds: number): Extract<Decision, { refusal: AirgapError }> {
  return {
    refusal: new AirgapError('TOO_MANY_REQUESTS', 'there were too many attempts to log in', {
      next: `try again in ${seconds} s`,
    }),
    headers: { 'retry-after': String(seconds) },
  }
}

function loginNeeded({ action, special }: NeededAccess): AirgapError {
  if (special === 'login')
    return new AirgapError('UNAUTHORIZED', 'this is where clients log in, or get a token without a login', {
      next: 'request a token at the realm that the answer names, as docker login does',
    })
  return new AirgapError('UNAUTHORIZED', `${action} requires a login`, {
    next: `log in as a user with the role ${roleFor(action)}; an administrator of the site adds users with \`offline-deploy users add\``,
  })
}

function invalidToken(): AirgapError {
  return new AirgapError('UNAUTHORIZED', 'the token is not valid, or no longer', {
    likely: 'it has expired, or the user was removed or changed since',
    next: 'log in again',
  })
}

function narrowToken(): AirgapError {
  return new AirgapError('UNAUTHORIZED', 'the token is not for this repository and action', {
    next: 'request one with the scope that the answer names',
  })
}
