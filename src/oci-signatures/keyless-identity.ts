import { globMatcher } from '../core/glob.ts'

/**
 * Compiles the identity of a keyless signer: exact, or with `*` (any characters but a slash) and `**` (any characters). No other character has a
 * meaning.
 */
export function identityMatcher(pattern: string): (identity: string) => boolean {
  if (!pattern.includes('*')) return identity => identity === pattern
  return globMatcher(pattern.replaceAll(/[?[\]\\]/g, String.raw`\$&`), { paths: true })
}

/**
 * Why a pattern is too wide, undefined where it is not: anyone gets certificates from a public authority, so that a wildcard must not stand for the
 * owner of a URI (`https://github.com/OWNER/…`) or the domain of an e-mail address.
 */
export function tooWide(pattern: string): string | undefined {
  if (!pattern.includes('*')) return undefined
  const literal = pattern.slice(0, pattern.indexOf('*'))
  const isUri = /^[a-z][a-z0-9+.-]*:\/\/[^/]+\/[^/]+\//.test(literal)
  const [, ...domain] = pattern.split('@')
  const isAddress =
    !pattern.includes('/') && domain.length === 1 && /^[a-z0-9-]+(\.[a-z0-9-]+)+$/i.test(domain[0]!)
  return isUri || isAddress
    ? undefined
    : 'a wildcard must come after https://HOST/OWNER/ or before the @ of an e-mail address'
}
