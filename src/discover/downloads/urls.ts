import { redactText } from '../../core/redact.ts'
import { withoutSecretQueries } from '../../core/secret-queries.ts'
import { withoutTrailing } from '../../core/trim.ts'
import { wordsOf } from '../references/roles.ts'

/** URLs that a container would fetch from outside the cluster, as opposed to addresses that it only names. */

const url = /\bhttps?:\/\/[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:\/[A-Za-z0-9._~%:/@!$&()*+,;=?#-]{0,1000})?/g

/**
 * Returns the URLs in a text whose host is a public name: not in the cluster, not on the machine, not an IP address. Tokens in their
 * query are left out: findings are printed.
 */
export function publicUrls(text: string): string[] {
  return [...text.matchAll(url)]
    .map(match => withoutSecretQueries(withoutTrailing(match[0], '.,;:)')))
    .filter(isPublic)
}

/** `download`: fetched; `address`: told to browsers or other programs; `unknown`: either */
export type UrlUse = 'download' | 'address' | 'unknown'

const files =
  /\.(?:t?gz|tar|tar\.\w+|zip|jar|war|hpi|whl|deb|rpm|sh|ya?ml|json|bin|so|wasm|gguf|safetensors|pt|pth|onnx|iso|qcow2|img|exe|xz|bz2|zst|txt|csv|parquet|pem|crt|crl|git|dat|db|mmdb|py|js|css|repo|asc|gpg|key)$/i
const fileHosts =
  /^(?:raw|dl|cdn|get|download|downloads|charts|packages|repo|repos|releases|storage|s3|objects|mirror|mirrors|archive|registry|index|pypi|files)\.|^(?:github|gitlab|huggingface)\.co?m?$|\.(?:githubusercontent|github)\.(?:com|io)$|^(?:codeload\.github\.com|bitbucket\.org|gist\.github\.com)$/

const fetchWords =
  /^(?:downloads?|plugins?|install\w*|fetch|mirror|repo|repos|repository|repositories|index|registry|source|sources|feed|catalog|charts?|git|models?|dataset|artifacts?|bundle|package|packages|update|updates|upgrade|extension|extensions|database|db|archive|release|releases|binary|script|theme|drivers?|init|image|images|import|clone|pull|proxy|mirrors)$/

const addressWords =
  /^(?:frontend|issuer|root|external|public|base|host|hostname|hosts|domain|domains|redirect|redirects|callback|callbacks|origin|origins|cors|oidc|oauth|oauth2|openid|sso|auth|authority|authorization|login|logout|ui|web|webui|console|site|portal|homepage|ingress|self|advertise|advertised|href|link|links|docs|documentation|help|support|allowed|audience|realm|realms|runbook|trusted|csrf|dashboard)$/

/** Classifies a public URL by the name of the variable or flag whose value it is. `own`: hosts that the site serves itself. */
export function useOf(name: string, text: string, own: ReadonlySet<string>): UrlUse {
  const { hostname, pathname } = new URL(text)
  if (own.has(hostname)) return 'address'
  const words = wordsOf(name)
  if (/\/releases\/download\/|\/raw\//.test(pathname) || files.test(pathname)) return 'download'
  if (words.some(word => fetchWords.test(word)) || fileHosts.test(hostname)) return 'download'
  return words.some(word => addressWords.test(word)) ? 'address' : 'unknown'
}

function isPublic(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { hostname } = new URL(text)
  // a single word is a service in the same namespace; IP addresses are the site's own
  if (!hostname.includes('.') || /^[0-9.]+$/.test(hostname)) return false
  return (
    !/\.(?:svc|local|internal|test|example|localhost)$/.test(hostname) &&
    !/(?:^|\.)example\.(?:com|org|net)$/.test(hostname) &&
    !hostname.endsWith('.svc.cluster.local')
  )
}

/** Returns the address of what a resource fetches, if that is outside the site; a text without a scheme is a registry. */
export function sourceUrl(text: string): string | undefined {
  const [found] = publicUrls(text)
  if (found !== undefined) return found
  if (/^(?:oci|docker|git|ssh|hf|s3|gs|gcs|ftp):\/\/[^\s]+$/.test(text))
    return /^[a-z]+:\/\/[^/]*\.(?:svc|local)(?:[:/]|$)/.test(text) ? undefined : withoutPassword(text)
  if (/^git@[a-z0-9.-]+\.[a-z]{2,}:\S+$/i.test(text)) return text
  return /^[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::[0-9]+)?\/[a-z0-9./_-]+$/.test(text) &&
    !/\.(?:svc|local)[:/]/.test(text)
    ? `oci://${text}`
    : undefined
}

/** `ssh://git@host` names a user; a user name is not a secret. */
function withoutPassword(text: string): string {
  const shown = withoutSecretQueries(text)
  return /:\/\/[^/@:]*:[^/@]*@/.test(shown) ? redactText(shown) : shown
}
