/** URLs that a container would fetch from outside the cluster. */

const url = /\bhttps?:\/\/[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:\/[A-Za-z0-9._~%:/@!$&()*+,;=?#-]{0,1000})?/g

/** Those whose host is neither in the cluster nor on the machine, nor without a name. */
export function publicUrls(text: string): string[] {
  return [...text.matchAll(url)].map(match => match[0].replace(/[.,;:)]+$/, '')).filter(isPublic)
}

function isPublic(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { hostname } = new URL(text)
  // one word is a service of the same namespace; addresses are the site's own
  if (!hostname.includes('.') || /^[0-9.]+$/.test(hostname)) return false
  return (
    !/\.(?:svc|local|internal|test|example|localhost)$/.test(hostname) &&
    !hostname.endsWith('.svc.cluster.local')
  )
}
