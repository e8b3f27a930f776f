import { readdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { AirgapError, errnoOf, fromSystemError } from '../core/errors.ts'
import type { SecretQueries } from '../core/secret-queries.ts'
import { type NetrcEntry, parseNetrc } from './netrc.ts'

/** A login for plain HTTP servers: package archives, indexes, chart repositories, files. Never logged, never in an error. */
export interface WebLogin {
  username: string
  password: string
  /** the file that has it, for messages */
  file: string
}

/** Where logins for plain HTTP servers come from. Registries have their own (docker-config.ts). */
export interface WebLogins {
  /** The login for exactly this URL; undefined where nobody has one. */
  find(url: URL): Promise<WebLogin | undefined>
  /** The URL with the credentials that belong into its query, to be sent and never shown; the same URL where there are none. */
  signed(url: URL): URL
}

export const noWebLogins: WebLogins = { find: async () => undefined, signed: url => url }

/** The same logins with the credentials in queries of a manifest. */
export function withQueries(logins: WebLogins, queries: SecretQueries): WebLogins {
  return { find: url => logins.find(url), signed: url => queries.signed(url) }
}

const maxFile = 1 << 20 /* bytes */

/**
 * Logins of netrc (the file that AIRGAP_NETRC or NETRC names, else ~/.netrc) and of apt (auth.conf and auth.conf.d), read when
 * first needed. The entry with the longest path that fits wins, then one with a port, then one with a scheme, then the first.
 * `find` throws FILE_NOT_FOUND where the file that AIRGAP_NETRC names cannot be read.
 */
export function webLogins(options: {
  env: Record<string, string | undefined>
  /** apt's configuration */
  aptFolder?: string
}): WebLogins {
  const { env, aptFolder = '/etc/apt' } = options
  let loading: Promise<Entry[]> | undefined
  return {
    async find(url) {
      loading ??= load(env, aptFolder)
      let best: Entry | undefined
      for (const entry of await loading)
        if (fits(entry, url) && (best === undefined || isNearer(entry, best))) best = entry
      return best?.login
    },
    signed: url => url,
  }
}

export function basicAuthorization({ username, password }: WebLogin): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/**
 * The logins of one request on its way through redirects. A server may not choose who else gets a password: once a redirect
 * leaves the server (another host, port, or https down to http), no more logins are sent (CVE-2022-27774 and its kin).
 */
export class HopLogins {
  readonly #logins: WebLogins
  #from: URL
  #left = false

  constructor(logins: WebLogins, first: URL) {
    this.#logins = logins
    this.#from = first
  }

  /** The request goes to this URL next. */
  enter(url: URL): void {
    this.#left ||= !isSameServer(this.#from, url)
    this.#from = url
  }

  async find(url: URL): Promise<WebLogin | undefined> {
    return this.#left ? undefined : await this.#logins.find(url)
  }

  signed(url: URL): URL {
    return this.#left ? url : this.#logins.signed(url)
  }
}

/** The same origin, or http turned into https on their usual ports. */
function isSameServer(from: URL, to: URL): boolean {
  if (from.origin === to.origin) return true
  const isUpgrade = from.protocol === 'http:' && to.protocol === 'https:'
  return isUpgrade && from.hostname === to.hostname && from.port === '' && to.port === ''
}

interface Entry {
  /** undefined: any; of apt's files https only */
  scheme: 'http' | 'https' | undefined
  /** lower-case, IPv6 in brackets */
  host: string
  port: number | undefined
  /** as URLs have it, '' for the whole host */
  path: string
  login: WebLogin
}

async function load(env: Record<string, string | undefined>, aptFolder: string): Promise<Entry[]> {
  const named = env['AIRGAP_NETRC']
  const netrc = named || env['NETRC'] || join(env['HOME'] || homedir(), '.netrc')
  const own = await readIfAny(netrc, { required: named !== undefined && named !== '' })
  const entries = own === undefined ? [] : entriesOf(own, { file: netrc, apt: false })
  for (const file of await aptFiles(aptFolder)) {
    const text = await readIfAny(file, { required: false })
    if (text !== undefined) entries.push(...entriesOf(text, { file, apt: true }))
  }
  return entries
}

async function aptFiles(folder: string): Promise<string[]> {
  const parts = join(folder, 'auth.conf.d')
  const names = await readdir(parts).catch(() => [])
  const own = names.filter(name => name.endsWith('.conf')).sort()
  return [join(folder, 'auth.conf'), ...own.map(name => join(parts, name))]
}

/** apt's files are often root's alone: a file that nobody named is left out where it cannot be read. */
async function readIfAny(path: string, { required }: { required: boolean }): Promise<string | undefined> {
  try {
    const bytes = await readFile(path)
    if (bytes.length <= maxFile) return bytes.toString('utf8')
  } catch (error) {
    const isReadable = !['ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR'].includes(errnoOf(error) ?? '')
    if (isReadable) throw fromSystemError(error, path)
    if (!required) return undefined
    throw new AirgapError('FILE_NOT_FOUND', 'the file of logins cannot be read', {
      item: `AIRGAP_NETRC: ${path}`,
      likely: 'the path is wrong, or the file belongs to another user',
      next: 'correct AIRGAP_NETRC, or unset it to use ~/.netrc',
      cause: error,
    })
  }
  throw new AirgapError('USAGE', 'the file of logins is too large', {
    item: path,
    likely: 'it is not a netrc file',
    next: 'set AIRGAP_NETRC to a file with lines of the form: machine HOST login NAME password PASSWORD',
  })
}

function entriesOf(text: string, { file, apt }: { file: string; apt: boolean }): Entry[] {
  return parseNetrc(text, { quotes: !apt }).flatMap(entry => entryOf(entry, { file, apt }) ?? [])
}

/** apt_auth.conf(5): `[scheme://]host[:port][/path]`, https only where no scheme is written. */
function entryOf(
  { machine, login, password }: NetrcEntry,
  { file, apt }: { file: string; apt: boolean },
): Entry | undefined {
  const bare = /^[0-9a-f]*:[0-9a-f:]*:[0-9a-f.]*$/i.test(machine) ? `[${machine}]` : machine
  const match = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(\[[0-9a-f:.]+\]|[^/:@\s]+)(?::([0-9]{1,5}))?(\/.*)?$/i.exec(
    bare,
  )
  if (match === null) return undefined
  const [, written, name = '', port, path = ''] = match
  const scheme = written?.toLowerCase() ?? (apt ? 'https' : undefined)
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') return undefined
  const address = `${scheme ?? 'https'}://${name}${path}`
  if (!URL.canParse(address)) return undefined
  const { hostname, pathname } = new URL(address)
  return {
    scheme,
    host: hostname,
    port: port === undefined ? undefined : Number(port),
    path: path === '' ? '' : pathname,
    login: { username: login, password, file },
  }
}

/** An entry without a port is for every port of its host, as curl, pip and apt read it; with a path, for the scheme's own. */
function fits({ scheme, host, port, path }: Entry, url: URL): boolean {
  if (host !== url.hostname || (scheme !== undefined && `${scheme}:` !== url.protocol)) return false
  const usual = url.protocol === 'https:' ? 443 : 80
  const actual = url.port === '' ? usual : Number(url.port)
  if (port === undefined ? path !== '' && actual !== usual : port !== actual) return false
  if (!url.pathname.startsWith(path)) return false
  // `/deb` is not `/debian`
  return path === '' || path.endsWith('/') || /^(?:\/|$)/.test(url.pathname.slice(path.length))
}

function isNearer(entry: Entry, other: Entry): boolean {
  if (entry.path.length !== other.path.length) return entry.path.length > other.path.length
  const written = ({ port, scheme }: Entry) => (port === undefined ? 0 : 2) + (scheme === undefined ? 0 : 1)
  return written(entry) > written(other)
}
