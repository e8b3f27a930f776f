import type { LookupAddress } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { buildConnector } from 'undici'
import { bareHostname, canonicalAddress, isCloser, type Reach, reachOfAddress } from './addresses.ts'

/**
 * How close to this machine a request may connect. A malicious or broken source must not make this host send requests to its own
 * services, its private network or its cloud metadata service (server-side request forgery, CWE-918).
 */
export interface ReachLimit {
  reach: Reach
  /** addresses of this machine and its link that may be reached: those of the server that names the URL, and no other service */
  local: readonly string[]
}

/** A connection that a limit forbids; the caller knows which answer named the host. */
export class RefusedAddress extends Error {
  override readonly name = 'RefusedAddress'
  readonly reach: Reach
  constructor(reach: Reach) {
    super(reach)
    this.reach = reach
  }
}

/** Throws RefusedAddress. */
export function checkAddress(address: string, limit: ReachLimit): void {
  const reach = reachOfAddress(address)
  const isKnown = reach !== 'local' || limit.local.includes(canonicalAddress(address))
  if (isCloser(reach, limit.reach) || !isKnown) throw new RefusedAddress(reach)
}

/** Knows which addresses hosts were connected at, and what their answers may therefore name. */
export class ReachLimits {
  readonly #lookup: LookupFunction
  /** undefined: every URL that is requested without the answer that names it was configured by a person */
  readonly #configured: ReadonlySet<string> | undefined
  readonly #connected = new Map<string, Set<string>>()
  readonly #unnamed = new Map<string, Promise<ReachLimit>>()
  readonly #checked = new Set<string>()

  constructor(options: { lookup: LookupFunction; configured?: Iterable<string> | undefined }) {
    this.#lookup = options.lookup
    this.#configured = options.configured && new Set([...options.configured].map(bareHostname))
  }

  connected(hostname: string, address: string): void {
    const host = bareHostname(hostname)
    const known = this.#connected.get(host)
    if (known === undefined) this.#connected.set(host, new Set([address]))
    else known.add(address)
  }

  /** Undefined for hosts that a person configured: they may be anywhere. Others may be where the closest of those is. */
  async withoutAnswer({ hostname }: URL): Promise<ReachLimit | undefined> {
    const host = bareHostname(hostname)
    const configured = this.#configured
    if (configured === undefined || configured.has(host)) return undefined
    let limit = this.#unnamed.get(host)
    if (limit === undefined) this.#unnamed.set(host, (limit = this.#unnamedLimit(host, configured)))
    return await limit
  }

  async #unnamedLimit(host: string, configured: ReadonlySet<string>): Promise<ReachLimit> {
    const own = await this.#addressesOf(host)
    // most hosts are public: then nothing else has to be resolved
    if (own.every(address => reachOfAddress(address) === 'public')) return { reach: 'public', local: [] }
    const addresses = (await Promise.all([...configured].map(one => this.#addressesOf(one)))).flat()
    const closest = addresses
      .map(reachOfAddress)
      .reduce<Reach>((found, one) => (isCloser(one, found) ? one : found), 'public')
    return { reach: closest, local: localOf(addresses) }
  }

  /**
   * What the answers of a URL may name: what is as far from this machine as the farthest address that its host was connected at. A
   * host that only a proxy has reached counts as what DNS says here, and as public where DNS does not know it.
   */
  async afterAnswer(url: URL): Promise<ReachLimit> {
    const connected = this.#connected.get(bareHostname(url.hostname))
    const addresses = connected === undefined ? await this.#addressesOf(url.hostname) : [...connected]
    const reaches = addresses.map(reachOfAddress)
    const isPublic = reaches.length === 0 || reaches.includes('public')
    return {
      reach: isPublic ? 'public' : reaches.includes('private') ? 'private' : 'local',
      local: localOf(addresses),
    }
  }

  /**
   * Throws RefusedAddress where a host is known to be too close before anything connects to it: a proxy would connect instead of this
   * host. A name that only the proxy can resolve passes.
   */
  async check({ hostname }: URL, limit: ReachLimit): Promise<void> {
    const key = `${limitKey(limit)} ${hostname}`
    if (this.#checked.has(key)) return
    for (const address of await this.#addressesOf(hostname)) checkAddress(address, limit)
    // once: the connector judges every connection, and only a proxy has none
    this.#checked.add(key)
  }

  /**
   * Returns the addresses of a host, each judged, for a program that connects by itself: it would resolve the name again, and get another answer
   * (DNS rebinding). Empty where DNS does not know it. Throws RefusedAddress.
   */
  async judgedAddresses({ hostname }: URL, limit: ReachLimit): Promise<string[]> {
    const addresses = await this.#addressesOf(hostname)
    for (const address of addresses) checkAddress(address, limit)
    return addresses
  }

  async #addressesOf(hostname: string): Promise<string[]> {
    const bare = bareHostname(hostname)
    if (isIP(bare) !== 0) return [bare]
    if (bare === 'localhost' || bare.endsWith('.localhost')) return ['127.0.0.1']
    return (await addressesOf(bare, this.#lookup).catch(() => [])).map(({ address }) => address)
  }

  /**
   * Makes the connector of a pool: every address is judged as it is connected to, so that a name that resolves differently the next time
   * (DNS rebinding) gains nothing.
   */
  connector(options: buildConnector.BuildOptions, limit: ReachLimit | undefined): buildConnector.connector {
    const lookup: LookupFunction = (hostname, wanted, done) => {
      addressesOf(hostname, this.#lookup, wanted).then(
        found => {
          try {
            if (limit !== undefined) for (const { address } of found) checkAddress(address, limit)
          } catch (error) {
            return done(error as Error, '')
          }
          if (wanted.all) done(null, found)
          else done(null, found[0]?.address ?? '', found[0]?.family)
        },
        (error: NodeJS.ErrnoException) => done(error, ''),
      )
    }
    const connect = buildConnector({ ...options, lookup } as buildConnector.BuildOptions)
    return (target, callback) => {
      const { hostname } = target
      try {
        // addresses are not looked up
        if (limit !== undefined && isIP(hostname) !== 0) checkAddress(hostname, limit)
      } catch (error) {
        callback(error as Error, null)
        return
      }
      connect(target, (error, socket) => {
        const address = socket?.remoteAddress
        if (error !== null || address === undefined) return callback(error as Error, null)
        try {
          if (limit !== undefined) checkAddress(address, limit)
        } catch (refused) {
          socket?.destroy()
          return callback(refused as Error, null)
        }
        this.connected(hostname, address)
        return callback(null, socket!)
      })
    }
  }
}

/** The same for equal limits. */
export function limitKey(limit: ReachLimit | undefined): string {
  return limit === undefined ? '' : [limit.reach, ...limit.local].join()
}

function localOf(addresses: readonly string[]): string[] {
  const local = addresses.filter(address => reachOfAddress(address) === 'local').map(canonicalAddress)
  return [...new Set(local)].sort()
}

async function addressesOf(
  hostname: string,
  lookup: LookupFunction,
  options: Parameters<LookupFunction>[1] = {},
): Promise<LookupAddress[]> {
  return await new Promise((resolve, reject) => {
    lookup(hostname, { ...options, all: true }, (error, found, family) => {
      if (error) reject(error)
      else resolve(Array.isArray(found) ? found : [{ address: found, family: family ?? isIP(found) }])
    })
  })
}
