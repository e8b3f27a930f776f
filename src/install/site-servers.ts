import { type KeyObject, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { AirgapError, errnoOf } from '../core/errors.ts'
import { isProven, parseProof, proofPath, type SiteServer } from '../site/server-proof.ts'
import { type SiteDescription, siteDocumentPath } from '../site/site-view.ts'
import { httpGet } from './http-get.ts'

/** The servers of one site, and how they are recognized. */
export interface SiteServers {
  /** identity of the state folder */
  site: string
  /** of the servers (site/server-key.ts); undefined: no servers have run yet */
  key: () => Promise<KeyObject | undefined>
  /** PEM: the only certificates that are trusted; undefined: plain HTTP, or none was made yet */
  ca: () => Promise<string | undefined>
  /** URLs without a path */
  urls: Readonly<Record<SiteServer, string>>
  /** whether the URLs have the IP address that the servers listen on, and nothing translates it on the way */
  direct: boolean
}

/** What answers at an address: this site's server, another program, or nothing. */
export type Answering = 'ours' | 'stranger' | 'nothing'

export interface FoundServers extends Readonly<Record<SiteServer, Answering>> {
  /** what this site's HTTP server says about itself; absent where it is not proven */
  description?: SiteDescription
}

const timeoutMs = 2_000 /* without any data */
/** A stranger may send an answer that never ends. */
const longestAnswerMs = 10_000

/** Challenges both servers. Nothing that they say is believed without a valid proof. Throws what the signal is aborted with. */
export async function findServers(servers: SiteServers, signal: AbortSignal): Promise<FoundServers> {
  const key = await servers.key()
  const [registry, http] = await Promise.all([
    challenge('registry', { servers, key, signal }),
    challenge('http', { servers, key, signal }),
  ])
  const description =
    http.description === undefined ? undefined : await describedBy(servers, http.description, signal)
  return {
    registry: registry.answering,
    http: http.answering,
    ...(description === undefined ? {} : { description }),
  }
}

/**
 * Refuses to continue unless both servers of this site run and prove it. Called before anything is taken from their ports. Throws PORT_IN_USE
 * (another program answers there), STEP_FAILED (nothing does).
 */
export async function requireServers(servers: SiteServers, signal: AbortSignal): Promise<void> {
  const found = await findServers(servers, signal)
  refuseStrangers(found, servers)
  for (const server of ['registry', 'http'] as const) {
    if (found[server] === 'ours') continue
    throw new AirgapError('STEP_FAILED', 'the servers of this site do not run', {
      item: servers.urls[server],
      likely: 'this host was restarted, or `offline-deploy stop` ended them',
      next: 'run `offline-deploy apply`, which starts them again',
    })
  }
}

/** Throws PORT_IN_USE where another program listens on a port of this site. */
export function refuseStrangers(found: FoundServers, { urls, direct }: SiteServers): void {
  const strangers = (['registry', 'http'] as const).filter(server => found[server] === 'stranger')
  if (strangers.length === 0) return
  if (!direct)
    throw new AirgapError('PORT_IN_USE', 'another program answers at the address of this site', {
      item: strangers.map(server => urls[server]).join(', '),
      likely: 'the address belongs to another machine, or a proxy answers in place of this host',
      next: 'pass the address of this host that the machines reach with --address',
    })
  throw strangersOnPorts(strangers.map(server => urls[server]))
}

/** The error for URLs of this site at which another program answers. */
export function strangersOnPorts(urls: readonly string[]): AirgapError {
  return new AirgapError('PORT_IN_USE', 'another program answers on the ports of this site', {
    item: urls.join(', '),
    likely:
      'the servers of this site ended (after a restart of this host, for example), and another program took their ports; it may hand out anything under the names of this site',
    next: 'find it with `ss -ltnp` and stop it, then run `offline-deploy apply`, which starts the servers again; if machines have used it, reinstall what they got from it',
  })
}

interface Challenge {
  servers: SiteServers
  key: KeyObject | undefined
  signal: AbortSignal
}

async function challenge(
  server: SiteServer,
  { servers, key, signal }: Challenge,
): Promise<{ answering: Answering; description?: string }> {
  const url = servers.urls[server]
  const nonce = randomBytes(32).toString('hex')
  try {
    const within = AbortSignal.any([signal, AbortSignal.timeout(longestAnswerMs)])
    const answer = await httpGet(`${url}${proofPath}?nonce=${nonce}`, {
      signal: within,
      timeoutMs,
      ca: await servers.ca(),
    })
    const proof = answer.status === 200 ? parseProof(answer.head) : undefined
    const isOurs =
      proof !== undefined &&
      key !== undefined &&
      proof.nonce === nonce &&
      proof.site === servers.site &&
      proof.server === server &&
      (!servers.direct || proof.address === addressOf(url)) &&
      isProven(key, proof)
    return isOurs ? { answering: 'ours', description: proof.description } : { answering: 'stranger' }
  } catch (error) {
    if (signal.aborted) throw error
    // what accepts a connection and sends something else than HTTP is a stranger, too
    const refused = errnoOf(error instanceof AirgapError ? error.cause : undefined) === 'ECONNREFUSED'
    return { answering: refused ? 'nothing' : 'stranger' }
  }
}

/** Reads the description that the server has signed. */
async function describedBy(
  servers: SiteServers,
  digest: string,
  signal: AbortSignal,
): Promise<SiteDescription | undefined> {
  const found = await describedAt(servers, signal)
  return found?.digest === digest ? found.description : undefined
}

/** What any program at the URL of the HTTP server says about itself: for messages. Undefined where it says nothing. */
export async function describedAt(
  { urls, ca }: Pick<SiteServers, 'urls' | 'ca'>,
  signal: AbortSignal,
): Promise<{ digest: string; description: SiteDescription } | undefined> {
  try {
    const within = AbortSignal.any([signal, AbortSignal.timeout(longestAnswerMs)])
    const answer = await httpGet(`${urls.http}${siteDocumentPath}`, {
      signal: within,
      timeoutMs,
      ca: await ca(),
    })
    if (answer.status !== 200) return undefined
    const { site, bundles, registry, httpServer, clients } = JSON.parse(answer.head.toString('utf8'))
    if (typeof site !== 'string' || !Array.isArray(bundles)) return undefined
    return {
      digest: answer.digest,
      description: {
        site,
        bundles: bundles.map(String),
        registry: String(registry),
        httpServer: String(httpServer),
        clients: String(clients),
      },
    }
  } catch (error) {
    if (signal.aborted) throw error
    return undefined
  }
}

/** `IP PORT` of a URL, as a server sees its own end of the connection. */
function addressOf(url: string): string {
  const { protocol, hostname, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  return `${isIP(host) === 0 ? '' : host} ${port || (protocol === 'https:' ? 443 : 80)}`
}
