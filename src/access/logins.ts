import { createHmac, randomBytes } from 'node:crypto'
import type { LoginLimits } from './login-limits.ts'
import type { PasswordThread } from './password-thread.ts'
import { canMatch, unmatchable } from './passwords.ts'
import type { Role } from './roles.ts'
import type { User } from './users-file.ts'

/** An attempt to log in. */
export interface Login {
  name: string
  password: string
  /** IP address of the client */
  address: string
}

/** A user as they are now. */
export interface KnownUser {
  name: string
  role: Role
  /** changes with the user's password and role: what was decided with another one no longer holds */
  stamp: string
}

export type LoginAnswer =
  | { user: KnownUser }
  | { wrong: true }
  /** seconds to wait before the next attempt */
  | { wait: number }

/** Checks passwords of users. */
export interface Logins {
  check(login: Login): Promise<LoginAnswer>
}

/** how long a password that was right is known to be right */
const rememberMs = 10 * 60_000
const maxRemembered = 10_000
/** attempts that wait for the thread; more are refused */
const maxWaiting = 200

/**
 * A password that was right is remembered as an HMAC with a key of this process: it is in no dump of the memory, and the next request costs no hash.
 * The answer for an unknown user takes as long as for a wrong password, and is the same: one hash, as expensive as that of some user.
 */
export function logins({
  users,
  stampOf,
  thread,
  limits,
  clockMs,
  tried,
}: {
  /** the users as they are now */
  users: () => ReadonlyMap<string, User>
  stampOf: (user: User) => string
  thread: Pick<PasswordThread, 'matches'>
  limits: LoginLimits
  /** milliseconds that never jump */
  clockMs: () => number
  /** called for each attempt that was checked or refused; not for those that repeat one of the last minutes */
  tried: (login: Login, answer: LoginAnswer) => void
}): Logins {
  const key = randomBytes(32)
  const remembered = new Map<string, { hash: string; address: string; until: number }>()
  const running = new Map<string, Promise<LoginAnswer>>()

  function knownUser(user: User): KnownUser {
    return { name: user.name, role: user.role, stamp: stampOf(user) }
  }

  /** The hash of some user, always the same for a name: an unknown one costs what others cost. */
  function decoy(name: string): string {
    const all = [...users().values()]
    const at =
      Number.parseInt(hmac(key, 'decoy', name).replace(/\W/g, '').slice(0, 8), 36) % (all.length || 1)
    return unmatchable(all[at]?.hash)
  }

  async function attempted(login: Login, print: string): Promise<LoginAnswer> {
    const answer = await hashed(login, print)
    tried(login, answer)
    return answer
  }

  async function hashed(login: Login, print: string): Promise<LoginAnswer> {
    const { name, password, address } = login
    if (running.size > maxWaiting) return { wait: 5 }
    const wait = limits.take({ name, address })
    if (wait !== undefined) return { wait }
    const user = users().get(name)
    const possible = canMatch(password)
    const isMatch = await thread.matches(
      possible ? password : 'none',
      user && possible ? user.hash : decoy(name),
    )
    // the user may have been removed, or may have got another password, in the meantime
    if (!isMatch || user === undefined || users().get(name)?.hash !== user.hash) return { wrong: true }
    limits.succeeded({ name, address })
    if (remembered.size >= maxRemembered) remembered.clear()
    remembered.set(print, { hash: user.hash, address, until: clockMs() + rememberMs })
    return { user: knownUser(users().get(name)!) }
  }

  return {
    async check(login) {
      const { name, password, address } = login
      const print = hmac(key, 'login', name, password)
      const found = remembered.get(print)
      const user = users().get(name)
      if (found !== undefined && user?.hash === found.hash && clockMs() < found.until) {
        const answer = { user: knownUser(user) }
        if (found.address !== address) tried(login, answer)
        found.address = address
        return answer
      }
      // the same attempt several times at once is one: 64 downloads of one client start together
      const attempt = running.get(print) ?? attempted(login, print).finally(() => running.delete(print))
      running.set(print, attempt)
      return await attempt
    },
  }
}

/** Returns the HMAC of texts, each with its length: no two lists of texts have the same. */
export function hmac(key: Buffer, ...parts: string[]): string {
  const made = createHmac('sha256', key)
  for (const part of parts) made.update(`${Buffer.byteLength(part)}:${part}`)
  return made.digest('base64url')
}
