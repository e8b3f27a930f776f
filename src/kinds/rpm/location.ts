import { hasSecretUrl } from '../../core/redact.ts'
import { encodePath, normalizeRelativePath, safeRelativePath } from '../../core/safe-path.ts'
import { withoutTrailing } from '../../core/trim.ts'
import { leadsCloser } from '../../remote/addresses.ts'
import type { RpmCandidate } from './candidate.ts'

/** Where a file of a repository is: below its base URL (already encoded, appended as it is), or at an address of its own. */
export type Place = { below: string } | { url: string }

/** Where a package is, upstream and on the site; or why it can't be carried. */
export type PackagePlace = { upstream: Place /** below the repository's folder */; path: string } | Refused
export interface Refused {
  /** a clause: `its address is neither http nor https` */
  refused: string
}

/** What decides whether an address outside of the repository is followed. */
export interface AddressTrust {
  /** base URLs of the repository */
  bases: readonly string[]
  /** whether the list with the address and the digest is signed */
  signed: boolean
}

/** Returns the URLs of a file, the first to be tried first. */
export function urlsOf(bases: readonly string[], place: Place): string[] {
  return 'url' in place ? [place.url] : bases.map(base => `${withoutTrailing(base, '/')}/${place.below}`)
}

/** What the lock says of the place, if its path on the site does not say it. */
export function hrefOf({ upstream, path }: { upstream: Place; path: string }): string | undefined {
  if ('url' in upstream) return upstream.url
  return upstream.below === encodePath(path) ? undefined : upstream.below
}

/** The reverse of `hrefOf`. */
export function lockedPlace({ location, href }: { location: string; href?: string | undefined }): Place {
  if (href === undefined) return { below: encodePath(location) }
  return /^https?:\/\//.test(href) ? { url: href } : { below: href }
}

/**
 * Reads the `location` of a package in primary.xml as dnf does (libdnf's PackageTarget, librepo's downloader): `href` is plain text that
 * is encoded and appended to `xml:base`, or else to the base URL of the repository; an href with `://` is a complete URL. On the site
 * a package keeps its path where that is safe; all others get one that is made of their digest (fault 38).
 */
export function placeOfPackage(one: RpmCandidate, trust: AddressTrust): PackagePlace {
  const { location, base } = one
  if (
    !['sha256', 'sha384', 'sha512'].includes(one.checksum.type) ||
    !/^[0-9a-f]{64,128}$/.test(one.checksum.hex)
  )
    return {
      refused: `the repository gives no SHA-256 or stronger digest for it, but ${one.checksum.type || 'none'}`,
    }
  if (location === '' || !location.isWellFormed())
    return { refused: 'the repository gives no address for it' }
  const isComplete = location.includes('://')
  if (isComplete || base !== undefined) {
    const url = isComplete
      ? location
      : `${withoutTrailing(base!, '/')}/${encodePath(location.replace(/^\/+/, ''))}`
    const refused = refusedAddress(url, trust)
    return refused === undefined
      ? { upstream: { url: new URL(url).href }, path: pathOfDigest(one) }
      : { refused }
  }
  const relative = location.replace(/^\/+/, '')
  return { upstream: { below: encodePath(relative) }, path: sitePath(relative) ?? pathOfDigest(one) }
}

/**
 * Reads the `location` of a metadata file in repomd.xml as librepo does: `href` is part of a URL already. Throws nothing: the file
 * is fetched only if it is needed.
 */
export function placeOfList(
  { href, base }: { href: string; base?: string },
  trust: AddressTrust,
): Place | Refused {
  if (!href.includes('://') && base === undefined) return { below: href.replace(/^\/+/, '') }
  const url = href.includes('://') ? href : `${withoutTrailing(base!, '/')}/${href.replace(/^\/+/, '')}`
  const refused = refusedAddress(url, trust)
  return refused === undefined ? { url: new URL(url).href } : { refused }
}

/** The lock and the bundle carry the address, and both travel; and a list must not lead closer to this machine than itself (SSRF). */
function refusedAddress(text: string, { bases, signed }: AddressTrust): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) return 'its address (xml:base) is not a URL'
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'its address is neither http nor https'
  if (url.username !== '' || url.password !== '' || hasSecretUrl(url.href))
    return 'its address contains a password'
  const origins = bases.map(base => new URL(base))
  if (!signed && !origins.some(({ origin }) => origin === url.origin))
    return 'it is on another server, and the list that says so is not signed'
  if (origins.some(from => !leadsCloser(url, { from }))) return undefined
  return 'its address is in a private network, and the repository is not'
}

/** Files of the tree beside the packages: a package must not take their place. */
const reserved = /^(?:repodata|keys|elsewhere)\/|^repository\.json$/

function sitePath(relative: string): string | undefined {
  try {
    const path = normalizeRelativePath(relative)
    return reserved.test(path) ? undefined : path
  } catch {
    return undefined
  }
}

function pathOfDigest({ name, version, release, architecture, checksum }: RpmCandidate): string {
  const folder = `elsewhere/${checksum.hex.slice(0, 32)}`
  try {
    return safeRelativePath(
      `${folder}/${`${name}-${version}-${release}.${architecture}.rpm`.replaceAll('/', '_')}`,
    )
  } catch {
    return `${folder}/package.rpm`
  }
}
