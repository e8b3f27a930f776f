import { type KeyObject, sign, verify } from 'node:crypto'
import type { Access } from './scopes.ts'

/** What a token says: who may do what, and until when. */
export interface TokenClaims {
  /** identity of the site */
  iss: string
  /** name of the user; empty: nobody */
  sub: string
  /** of the user when the token was made (logins.ts) */
  stamp: string
  access: Access[]
  /** boot of the machine to which `until` belongs */
  boot: string
  /** seconds of the machine's monotonic clock */
  until: number
  /** seconds since 1970, for people: no decision depends on the wall clock, which may jump */
  iat: number
}

/** Seconds that never jump, of one boot: of CLOCK_MONOTONIC, which all processes of the machine share. */
export interface SteadyClock {
  boot: string
  seconds(): number
}

/** how long clients use a token; the token specification has 60 s as the least */
export const tokenSeconds = 300
/** how much longer it is accepted: a client may send it at its last moment */
const graceSeconds = 30

/** The only header that is ever made or accepted: no client chooses an algorithm (`alg: none`, CVE-2015-9235). */
const header = base64url('{"alg":"EdDSA","typ":"JWT"}')

/** Signs a JWT (RFC 7519) with Ed25519 (RFC 8037). */
export function signToken(claims: TokenClaims, key: KeyObject): string {
  const signed = `${header}.${base64url(JSON.stringify(claims))}`
  return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`
}

/** of tokens that were verified; verifying one takes 100 µs, and a client sends the same with each request */
const maxKnown = 1_000

/** Returns what reads tokens that this key has signed: their claims; undefined for all others. Whether they still hold is `holds`. */
export function tokenReader(key: KeyObject): (token: string) => TokenClaims | undefined {
  const known = new Map<string, TokenClaims>()
  return token => {
    const found = known.get(token)
    if (found !== undefined) return found
    const [head, body = '', signature = '', ...rest] = token.split('.')
    if (head !== header || rest.length > 0) return undefined
    const bytes = Buffer.from(signature, 'base64url')
    // one spelling of a signature only: what differs in ignored bits is another token
    if (bytes.toString('base64url') !== signature) return undefined
    if (!verify(null, Buffer.from(`${head}.${body}`), key, bytes)) return undefined
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as TokenClaims
    if (known.size >= maxKnown) known.clear()
    known.set(token, claims)
    return claims
  }
}

/** Whether a token of this site is still valid. */
export function holds(claims: TokenClaims, { site, clock }: { site: string; clock: SteadyClock }): boolean {
  const { iss, boot, until } = claims
  const left = until - clock.seconds()
  return iss === site && boot === clock.boot && left > -graceSeconds && left <= tokenSeconds
}

/** Whether a token allows an action on a thing. */
export function allows(
  { access }: TokenClaims,
  { type, name, action }: { type: Access['type']; name: string; action: string },
): boolean {
  return access.some(one => one.type === type && one.name === name && one.actions.includes(action))
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}
