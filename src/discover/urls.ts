import { withoutSecretQueries } from '../core/secret-queries.ts'

/** URLs that a container would fetch from outside the cluster. */

const url = /\bhttps?:\/\/[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:\/[A-Za-z0-9._~%:/@!$&()*+,;=?#-]{0,1000})?/g

/**
 * Returns the URLs in a text whose host is a public name: not in the cluster, not on the machine, not an IP address. Tokens in their
 * query are left out: findings are printed.
 */
export function publicUrls(text: string): string[] {
  return [...text.matchAll(url)]
    .map(match => withoutSecretQueries(match[0].replace(/[.,;:)]+$/, '')))
    .filter(isPublic)
}

function isPublic(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { hostname } = new URL(text)
  // a single word is a service in the same namespace; IP addresses are the site's own
  if (!hostname.includes('.') || /^[0-9.]+$/.test(hostname)) return false
  return (
    !/\.(?:svc|local|internal|test|example|localhost)$/.test(hostname) &&
    !hostname.endsWith('.svc.cluster.local')
  )
}
