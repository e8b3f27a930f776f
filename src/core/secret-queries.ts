import { AirgapError } from './errors.ts'
import { isSecretName } from './secret-names.ts'
import { textBefore } from './trim.ts'

/**
 * Credentials in the query of a URL: tokens (`token=`, `private_token=`), and signatures of object stores and CDNs with the
 * parameters that belong to them (Azure SAS, Amazon S3, Google Cloud Storage, CloudFront, Alibaba OSS, Tencent COS, Akamai).
 */

/** Each is a credential, or a part of a signature, whatever else is in the query. */
const secretParameter =
  /^(?:x-(?:amz|goog|oss|obs|cos)-.*|q-(?:sign-algorithm|ak|sign-time|key-time|header-list|url-param-list|signature)|(?:aws|oss)?accesskeyid|googleaccessid|key-pair-id|sig|sign|signature|hdn(?:ts|ea)|__gda__|__token__|hmac|sas|api[-_]?key)$/i

/** Belong to a signature: its time, its policy, its permissions. */
const partOfSignature =
  /^(?:expires?|expiry|exp|policy|hash-algorithm|s[vseprt]|ss|srt|spr|sip|sdd|si|sk[stev]|skoid|sktid|saoid|suoid|scid|ses|tn|[se][pr]k)$/i

const signature = /^(?:.*signature|sig|sign|hdn(?:ts|ea)|__gda__|hmac|token)$/i

/** Whether a parameter of a query is a credential, by its name. A `key` with a path or a file name is that of an object. */
function isSecretParameter(name: string, value: string): boolean {
  const plain = decoded(name)
  if (value === '') return false
  if (secretParameter.test(plain)) return true
  if (/^keys?$/i.test(plain) && /[./]|%2f/i.test(value)) return false
  // of Azure Functions; shorter ones are those of a country or a language
  if (/^code$/i.test(plain)) return value.length >= 16
  return isSecretName(plain)
}

interface Parameter {
  /** as written: `name=value` */
  text: string
  /** a credential, or a part of one */
  isSecret: boolean
}

function parametersOf(query: string): Parameter[] {
  const parameters = query.split('&').map(text => {
    const at = text.indexOf('=')
    const [name, value] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
    return { text, name: decoded(name), isSecret: isSecretParameter(name, value) }
  })
  // nginx's secure_link has no name of its own
  const isNginx = ['md5', 'expires'].every(wanted => parameters.some(({ name }) => name === wanted))
  const isSigned = isNginx || parameters.some(({ name, isSecret }) => isSecret && signature.test(name))
  return parameters.map(({ text, name, isSecret }) => ({
    text,
    isSecret: isSecret || (isSigned && partOfSignature.test(name)) || (isNginx && name === 'md5'),
  }))
}

/** A query in two parts, each without `?`, parameters as written. */
interface SplitQuery {
  rest: string
  /** '' where nothing in it is a credential */
  secret: string
}

function splitQuery(query: string): SplitQuery {
  const parameters = parametersOf(query)
  const joined = (isSecret: boolean) =>
    parameters
      .filter(one => one.isSecret === isSecret)
      .map(({ text }) => text)
      .join('&')
  return { rest: joined(false), secret: joined(true) }
}

/** The text with the values of `?token=x` and `&sig=x` masked, wherever they are; other parameters stay. */
export function withoutSecretParameters(text: string): string {
  return text.replace(queries, (_, start: string, query: string) => {
    const parameters = parametersOf(query)
    return `${start}${parameters.map(({ text: one, isSecret }) => (isSecret && one.includes('=') ? `${textBefore(one, '=')}=…` : one)).join('&')}`
  })
}

/** Whether a text has a query with a credential. */
export function hasSecretQuery(text: string): boolean {
  return [...text.matchAll(queries)].some(([, , query = '']) => parametersOf(query).some(one => one.isSecret))
}

/** A query anywhere in a text, or the rest of one. */
const queries = /([?&])([^\s<>"'`?#]+)/g

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** URLs in a text, each with a query; group 1 up to the query, group 2 the query without `?`. */
const urlsWithQuery = /(https?:\/\/[^\s<>"'`?#]{1,2048})\?([^\s<>"'`#]*)/gi

/** A text whose URLs show no credentials of a query. Other text, and other parameters, stay. */
export function withoutSecretQueries(text: string): string {
  return text.replace(urlsWithQuery, (whole, start: string, query: string) => {
    const { rest, secret } = splitQuery(query)
    return secret === '' ? whole : withQuery(start, rest)
  })
}

interface SecretQuery {
  origin: string
  /** with a slash at its start */
  path: string
  /** of the public URL, without `?` */
  rest: string
  secret: string
  /** of the manifest, or of an upstream's page: only the former is known to a later build */
  from: 'manifest' | 'page'
  /** `file:line:column` */
  at: string
}

/**
 * The credentials that were taken off URLs, kept in memory for the requests of one run: a login of the transport, like netrc. A
 * lockfile, a bundle and a message have only the URL without them. A request gets them on the same origin, below the same path; the
 * longest path wins. Never logged: the class shows nothing of its content.
 */
export class SecretQueries {
  readonly #queries: SecretQuery[] = []

  /**
   * Returns the text of a manifest, written at `at`, with the credentials taken off its URLs. Throws MANIFEST_INVALID where two URLs
   * differ in nothing else: without their credentials they would be one.
   */
  takeFrom(text: string, at: string): string {
    return this.#take(text, { from: 'manifest', at })
  }

  /** The same for a URL that an upstream published: a newer credential replaces the older one. */
  takeFromPage(url: string): string {
    return this.#take(url, { from: 'page', at: '' })
  }

  /** The same for every text of a value that is made of maps and lists. */
  takeFromAll<T>(value: T, at: string): T {
    const freed = (part: unknown): unknown => {
      if (typeof part === 'string') return this.takeFrom(part, at)
      if (Array.isArray(part)) return part.map(freed)
      if (part === null || typeof part !== 'object' || Object.getPrototypeOf(part) !== Object.prototype)
        return part
      return Object.fromEntries(
        Object.entries(part).map(([key, one]) => [this.takeFrom(key, at), freed(one)]),
      )
    }
    return freed(value) as T
  }

  /** Whether a request for this URL needs a credential that only an upstream's page has. */
  isFromPage(url: string): boolean {
    const found = URL.canParse(url) ? this.#find(new URL(url)) : undefined
    return found?.from === 'page'
  }

  /** Whether a credential was taken off exactly this URL of the manifest. */
  has(url: string): boolean {
    if (!URL.canParse(url)) return false
    const { origin, pathname, search } = new URL(url)
    return this.#queries.some(
      query => query.origin === origin && query.path === pathname && query.rest === search.slice(1),
    )
  }

  /** The URL with its credentials, to be sent and never shown; the same URL where there are none, or where it has them. */
  signed(url: URL): URL {
    const found = this.#find(url)
    if (found === undefined) return url
    const present = new Set([...url.searchParams.keys()])
    const missing = found.secret.split('&').filter(text => !present.has(decoded(text.split('=')[0] ?? '')))
    if (missing.length === 0) return url
    const signed = new URL(url)
    signed.search = [url.search.slice(1), ...missing].filter(Boolean).join('&')
    return signed
  }

  #take(text: string, { from, at }: Pick<SecretQuery, 'from' | 'at'>): string {
    return text.replace(urlsWithQuery, (whole, start: string, query: string) => {
      const { rest, secret } = splitQuery(query)
      if (secret === '' || !URL.canParse(start)) return whole
      const { origin, pathname: path } = new URL(start)
      this.#add({ origin, path, rest, secret, from, at })
      return withQuery(start, rest)
    })
  }

  #add(query: SecretQuery): void {
    const { origin, path, rest, secret, from } = query
    const known = this.#find(new URL(withQuery(`${origin}${path}`, rest)))
    // of the repository above it
    if (known?.secret === secret) return
    const same = this.#queries.findIndex(
      other => other.origin === origin && other.path === path && other.rest === rest,
    )
    if (same < 0) this.#queries.push(query)
    else if (from === 'page') this.#queries[same] = query
    else {
      throw new AirgapError('MANIFEST_INVALID', 'two URLs differ only in the credentials of their query', {
        item: `${this.#queries[same]?.at} and ${query.at}: ${origin}${path}`,
        likely: 'the lockfile never contains credentials: it could not tell one from the other',
        next: 'use one of them for both',
      })
    }
  }

  #find(url: URL): SecretQuery | undefined {
    let best: SecretQuery | undefined
    for (const query of this.#queries) {
      if (query.origin !== url.origin || !isBelow(url.pathname, query.path)) continue
      const isSame = query.path === url.pathname && query.rest === url.search.slice(1)
      if (isSame) return query
      if (best === undefined || query.path.length > best.path.length) best = query
    }
    return best
  }
}

/** `/deb` is not above `/debian`. */
function isBelow(path: string, above: string): boolean {
  if (!path.startsWith(above)) return false
  return above.endsWith('/') || path.length === above.length || path[above.length] === '/'
}

function withQuery(url: string, query: string): string {
  return query === '' ? url : `${url}?${query}`
}
