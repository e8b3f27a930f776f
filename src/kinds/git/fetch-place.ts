import { withoutTrailing } from '../../core/trim.ts'
import type { HttpClient } from '../../remote/contract.ts'
import { placeOf } from './url.ts'

/** Where git fetches a repository. */
export interface FetchPlace {
  url: string
  /** git connects by itself, so that nobody could judge where a redirect leads it */
  redirects: 'followed' | 'refused'
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
    await http.locate(urlOf(url), named)
    return { url, redirects: 'refused' }
  }
  const { url: found, isProtected } = await http.locate(
    `${withoutTrailing(url, '/')}${refs}?service=git-upload-pack`,
    named,
  )
  const redirects = isProtected && namedBy === undefined ? 'followed' : 'refused'
  // git accepts no other redirect, either
  return found.endsWith(refs) ? { url: found.slice(0, -refs.length), redirects } : { url, redirects }
}

/** The same address as a URL: `git@host:path` is none. */
function urlOf(url: string): string {
  return URL.canParse(url) ? url : `ssh://${placeOf(url)}`
}
