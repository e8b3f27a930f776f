import type { AuditEvent } from './audit.ts'
import { networkOf } from './login-limits.ts'
import type { Login, LoginAnswer } from './logins.ts'
import type { SteadyClock } from './token.ts'

/** networks with attempts that are counted */
const maxNetworks = 1_000
/** lines in a minute for one network; more are counted */
const linesPerMinute = { failed: 10, refused: 1 }
/** of a name that may not be a user’s: a longer one would only fill the log */
const maxShownName = 64 /* characters */

/** One line for each login and for the first attempts that fail; thousands of them would displace pushes and deletions from the log. */
export function auditedLogins(
  audit: (event: AuditEvent) => void,
  clock: SteadyClock,
): (login: Login, answer: LoginAnswer) => void {
  const seen = new Map<string, { since: number; lines: number; count: number }>()
  return ({ name, address }, answer) => {
    if ('user' in answer) return audit({ what: 'login', result: 'ok', user: name, address })
    const result = 'wait' in answer ? 'refused' : 'failed'
    const key = `${result} ${networkOf(address)}`
    let counted = seen.get(key)
    if (counted === undefined || clock.seconds() - counted.since >= 60) {
      if (seen.size >= maxNetworks) seen.clear()
      counted = { since: clock.seconds(), lines: 0, count: counted?.count ?? 0 }
      seen.set(key, counted)
    }
    counted.count++
    if (counted.lines >= linesPerMinute[result]) return
    counted.lines++
    const { count } = counted
    counted.count = 0
    const user = name.slice(0, maxShownName)
    audit({ what: 'login', result, user, address, ...(count > 1 && { count }) })
  }
}
