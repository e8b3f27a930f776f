import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import type { AuditEvent } from './audit.ts'
import { auditedLogins } from './audited-logins.ts'
import type { AccessState } from './control.ts'
import { loginLimits } from './login-limits.ts'
import { hmac, type KnownUser, type Login, type LoginAnswer, logins } from './logins.ts'
import { passwordThread } from './password-thread.ts'
import { type Access, granted } from './scopes.ts'
import { type SteadyClock, signToken, tokenSeconds } from './token.ts'
import type { User } from './users-file.ts'
import { watchUsers } from './watched-users.ts'

/** The one place of a site that knows passwords and signs tokens: in the supervisor of the servers. */
export interface Authority {
  /** Returns another object after each change. */
  state(): AccessState
  /** Calls the listener after each change, until the returned function is called. */
  onChange(listener: (state: AccessState) => void): () => void
  /** Sets whether reading needs a login, too. */
  requireLogin(required: boolean): void
  login(login: Login): Promise<LoginAnswer>
  /** Returns a token for what the user, or where reading is free: anybody, may do of `wanted`. */
  grant(request: GrantRequest): Promise<GrantAnswer>
  close(): Promise<void>
}

export interface GrantRequest {
  login?: Login
  wanted: Access[]
}

export type GrantAnswer =
  | { token: string; access: Access[] }
  | Extract<LoginAnswer, { wrong: true } | { wait: number }>

export interface AuthorityOptions {
  /** identity of the site */
  site: string
  /** path of the users' file */
  users: string
  requireLogin: boolean
  /** Ed25519, signs the tokens */
  key: KeyObject
  clock: SteadyClock
  /** program and arguments that start this program */
  self: readonly string[]
  /** called for each login; for those that were refused unchecked at most once a minute and address */
  audit: (event: AuditEvent) => void
  /** called when the users' file cannot be read any longer */
  failed: (error: unknown) => void
}

/** Throws what is wrong with the users' file. */
export async function openAuthority(options: AuthorityOptions): Promise<Authority> {
  const { site, key, clock, self } = options
  let { requireLogin } = options
  const secret = createHash('sha256')
    .update('stamps of users')
    .update(key.export({ type: 'pkcs8', format: 'der' }))
    .digest()
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64')
  const listeners = new Set<(state: AccessState) => void>()
  const watched = await watchUsers(options.users, {
    changed,
    failed: options.failed,
  })
  const thread = passwordThread(self)
  const stampOf = ({ name, hash, role }: User) => hmac(secret, name, hash, role).slice(0, 22)
  const checked = logins({
    users: watched.current,
    stampOf,
    thread,
    limits: loginLimits(clock.seconds),
    clockMs: () => clock.seconds() * 1_000,
    tried: auditedLogins(options.audit, clock),
  })
  let state = makeState()

  function changed(): void {
    state = makeState()
    for (const listener of listeners) listener(state)
  }

  function makeState(): AccessState {
    const users = [...watched.current().values()].map(user => ({
      name: user.name,
      role: user.role,
      stamp: stampOf(user),
    }))
    return { site, requireLogin, users, publicKey }
  }

  async function login(attempt: Login): Promise<LoginAnswer> {
    // a user who was added a moment ago can log in
    await watched.refresh()
    return await checked.check(attempt)
  }

  function signedToken(access: Access[], user?: KnownUser): string {
    return signToken(
      {
        iss: site,
        sub: user?.name ?? '',
        stamp: user?.stamp ?? '',
        access,
        boot: clock.boot,
        until: clock.seconds() + tokenSeconds,
        iat: Math.floor(Date.now() / 1_000),
      },
      key,
    )
  }

  return {
    state: () => state,
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    requireLogin(required) {
      requireLogin = required
      changed()
    },
    login,
    async grant({ login: attempt, wanted }) {
      if (attempt === undefined) {
        if (requireLogin) return { wrong: true }
        const access = granted(wanted, 'pull')
        return { token: signedToken(access), access }
      }
      const answer = await login(attempt)
      if (!('user' in answer)) return answer
      const access = granted(wanted, answer.user.role)
      return { token: signedToken(access, answer.user), access }
    },
    async close() {
      watched.close()
      await thread.close()
    },
  }
}
