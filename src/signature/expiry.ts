import { AirgapError } from '../core/errors.ts'
import { printTime, type Statement } from './statement.ts'

/** Whether a signed bundle is still to be installed, as its statement and the clock of this host say. */

/** The time, and the path of the bundle for messages. */
interface Circumstances {
  path: string
  now: Date
}

const day = 24 * 60 * 60 * 1000 /* ms */

/** A clock that is this far from the last time that is known has probably stopped or was set wrongly. */
const implausible = 3 * 365 * day

/**
 * Throws EXPIRED for a bundle that must not be installed any more, and CLOCK_WRONG where the clock cannot tell. `latest`: a time that has
 * passed, as the site knows. Without an expiry, a medium that is held back keeps a site on a vulnerable version unnoticed.
 */
export function refuseExpired(
  { built, expires }: Pick<Statement, 'built' | 'expires'>,
  { path, now, latest }: Circumstances & { latest: string | null },
): void {
  if (expires === undefined) return
  const known = laterOf(latest, built)
  const clock = printTime(now)
  // the clock may be wrong, but time does not run backwards: what a trusted key has signed was made before now
  if (expires <= known)
    throw expired(path, {
      expires,
      likely: `this site has accepted a bundle that was built after that: ${known}`,
    })
  if (now.getTime() < Date.parse(known) - day) throw clockBehind(clock, known)
  if (expires > clock) return
  if (now.getTime() - Date.parse(known) <= implausible)
    throw expired(path, { expires, likely: `the medium is old: the clock of this host says ${clock}` })
  throw expired(path, {
    expires,
    likely: `it is old, or the clock of this host is wrong: it says ${clock}, years after the last bundle that is known here (${known})`,
    first: 'check the clock with `date`, and set it if it is wrong; otherwise ',
  })
}

function expired(
  item: string,
  { expires, likely, first = '' }: { expires: string; likely: string; first?: string },
): AirgapError {
  return new AirgapError('EXPIRED', `the bundle expired on ${expires}`, {
    item,
    likely,
    next: `${first}ask the person who built it for the present bundle, or for a new signature with a later expiry (\`airgap sign\`)`,
  })
}

function clockBehind(clock: string, known: string): AirgapError {
  return new AirgapError('CLOCK_WRONG', `the clock of this host is wrong: it says ${clock}`, {
    item: `the bundle, or one that was accepted before, was built at ${known}`,
    likely: 'the battery of its clock is empty, or it was never set',
    next: 'set it (`timedatectl set-time`, or `date -s`), then run the same command again: whether the bundle has expired depends on it',
  })
}

/** The clock of the builder may be ahead by years, too: its time must not make every later bundle look expired. */
export function isPlausible(built: string, now: Date): boolean {
  return Date.parse(built) <= now.getTime() + day
}

export function laterOf(known: string | null, time: string): string {
  return known === null || time > known ? time : known
}
