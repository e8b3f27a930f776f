import { createHash } from 'node:crypto'
import { isIPv6 } from 'node:net'

/**
 * Limits failed logins, so that passwords cannot be guessed and hashing them cannot take all CPU time. An attempt takes a token, a
 * successful one gives it back: attempts in flight count, too. The memory is bounded; an evicted entry is that of the longest quiet.
 */
export interface LoginLimits {
  /** Returns the seconds to wait where the attempt must not be made. */
  take(login: Login): number | undefined
  succeeded(login: Login): void
}

interface Login {
  name: string
  address: string
}

interface Bucket {
  tokens: number
  /** seconds, of `clock` */
  at: number
}

interface Limit {
  /** attempts at once */
  burst: number
  /** seconds until another attempt is possible */
  every: number
}

/** 100 users of one address may log in at once; guessing goes on at one attempt per second. */
const perAddress: Limit = { burst: 100, every: 1 }
/** of one user, from all addresses without a successful login */
const perUser: Limit = { burst: 20, every: 5 }
/** of one user from one such address, before it counts for all of them: others who fail for a user cannot lock out its own machines */
const perPair: Limit = { burst: 1, every: 60 }
const maxEntries = 10_000

/**
 * `clock` returns seconds that never jump. A user who has logged in from an address is counted apart from everybody else there: neither
 * failures of others behind the same address, nor failures for this user elsewhere, keep them out.
 */
export function loginLimits(clock: () => number): LoginLimits {
  const buckets = new Map<string, Bucket>()
  const proven = new Map<string, true>()

  function bucketOf(key: string, { burst, every }: Limit): Bucket {
    const now = clock()
    const found = buckets.get(key) ?? { tokens: burst, at: now }
    found.tokens = Math.min(burst, found.tokens + (now - found.at) / every)
    found.at = now
    keep(buckets, key, found)
    return found
  }

  /** What an attempt takes a token of; the first one that has none is why it must wait. */
  function* bucketsOf(login: Login): Generator<{ bucket: Bucket; limit: Limit }> {
    const { address, pair, user } = keysOf(login)
    if (proven.has(pair)) return yield limited(`both ${pair}`, perUser)
    // the address comes first: an attempt that is refused for it leaves no entry, which would evict that of another
    yield limited(`address ${address}`, perAddress)
    const own = limited(`pair ${pair}`, perPair)
    yield own.bucket.tokens >= 1 ? own : limited(`user ${user}`, perUser)
  }

  function limited(key: string, limit: Limit): { bucket: Bucket; limit: Limit } {
    return { bucket: bucketOf(key, limit), limit }
  }

  return {
    take(login) {
      const taken: Bucket[] = []
      for (const { bucket, limit } of bucketsOf(login)) {
        const wait = (1 - bucket.tokens) * limit.every
        if (wait > 0) return Math.ceil(wait)
        taken.push(bucket)
      }
      for (const bucket of taken) bucket.tokens--
      return undefined
    },
    succeeded(login) {
      const { address, pair } = keysOf(login)
      const [key, limit] = proven.has(pair)
        ? ([`both ${pair}`, perUser] as const)
        : ([`address ${address}`, perAddress] as const)
      bucketOf(key, limit).tokens++
      keep(proven, pair, true)
    },
  }
}

/** Of bounded length, however long a name is. */
function keysOf({ name, address }: Login): { address: string; pair: string; user: string } {
  const network = networkOf(address)
  const user = createHash('sha256').update(name).digest('base64url')
  return { address: network, pair: `${network} ${user}`, user }
}

/** Puts an entry at the end; the first is the one that was used least recently. */
function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= maxEntries) return
  const [first] = map.keys()
  if (first !== undefined) map.delete(first)
}

/** A machine has all addresses of an IPv6 network of 64 bits. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '')
  if (!isIPv6(plain)) return plain
  const [head = '', tail = ''] = plain.split('%')[0]!.split('::')
  const before = head.split(':').filter(Boolean)
  const after = tail.split(':').filter(Boolean)
  const groups = plain.includes('::')
    ? [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after]
    : before
  return groups.slice(0, 4).join(':')
}
