import { isIP } from 'node:net'
import { withoutTrailing } from '../../core/trim.ts'
import { bareHostname } from '../../remote/addresses.ts'
import type { HttpClient } from '../../remote/contract.ts'
import { placeOf } from './url.ts'

/** Where git fetches a repository. */
export interface FetchPlace {
  url: string
  /** git connects by itself, so that nobody could judge where a redirect leads it */
  redirects: 'followed' | 'refused'
  pin?: Pin
}

/** The only addresses that git may connect to: it resolves the name again, and DNS may give another answer then (DNS rebinding). */
export interface Pin {
  protocol: 'http' | 'ssh'
  hostname: string
  port: string
  addresses: readonly string[]
}

const refs = '/info/refs'

/**
 * Follows the redirects of a repository's address before git does: neither they nor the address of a submodule (`namedBy` is the repository
 * that contains it) may lead closer to this machine than what names them (SSRF, CWE-918). Only where the server of a configured
 * address requires a login, which it gets from the user's credential helpers, git follows redirects itself: such a server sends them
 * after the login. Throws REDIRECT_REFUSED.
 */
export async function fetchPlace(
  url: string,
  { http, namedBy }: { http: HttpClient; namedBy: string | undefined },
): Promise<FetchPlace> {
  if (url.startsWith('file:')) return { url, redirects: 'refused' }
  const named = namedBy === undefined || namedBy.startsWith('file:') ? {} : { namedBy: urlOf(namedBy) }
  if (!/^https?:/i.test(url)) {
    const { addresses } = await http.locate(urlOf(url), named)
    return { url, redirects: 'refused', ...pinOf(urlOf(url), addresses) }
  }
  const {
    url: found,
    isProtected,
    addresses,
  } = await http.locate(`${withoutTrailing(url, '/')}${refs}?service=git-upload-pack`, named)
  const redirects = isProtected && namedBy === undefined ? 'followed' : 'refused'
  // git accepts no other redirect, either
  if (!found.endsWith(refs)) return { url, redirects, ...pinOf(url, addresses) }
  return { url: found.slice(0, -refs.length), redirects, ...pinOf(found, addresses) }
}

/** `git:` has no setting for it, and no login that could be misused. */
function pinOf(text: string, addresses: readonly string[] | undefined): { pin?: Pin } {
  const { protocol, hostname, port } = new URL(text)
  const ports: Record<string, string> = { 'http:': '80', 'https:': '443', 'ssh:': '22' }
  const usual = ports[protocol]
  if (addresses === undefined || usual === undefined || isIP(bareHostname(hostname)) !== 0) return {}
  const kind = protocol === 'ssh:' ? 'ssh' : 'http'
  return { pin: { protocol: kind, hostname, port: port || usual, addresses } }
}

/** The same address as a URL: `git@host:path` is none. */
function urlOf(url: string): string {
  return URL.canParse(url) ? url : `ssh://${placeOf(url)}`
}
