import { AirgapError, type ErrorCode, isErrorCode } from '../core/errors.ts'
import { textBefore } from '../core/trim.ts'

interface Diagnosis {
  pattern: RegExp
  code: ErrorCode
  what: string
  /** `at` is what was pushed */
  next: string | ((at: PushedTo) => string)
}

interface PushedTo {
  /** host[:port] */
  host: string
  /** repository path there */
  path: string
}

const immutableTag = 'the registry does not allow this tag to be replaced'

/** Returns whether the registry has the tag already and keeps it. */
export function isImmutableTag(error: unknown): boolean {
  return isErrorCode(error, 'UPSTREAM') && error.message === immutableTag
}

const again = 'then run the same command again: it copies only what is missing'

/**
 * Messages of oras (1.2 and 1.3) and of registries, without addresses and names; the first match counts. Words, not bare numbers: a
 * digest may contain any digits.
 */
const diagnoses: Diagnosis[] = [
  {
    pattern: /status code 429\b|too ?many ?requests/i,
    code: 'UPSTREAM',
    what: 'the registry limits the number of requests',
    next: `wait a few minutes, or pass --jobs 1, ${again}`,
  },
  {
    // Harbor: "will exceed the configured upper limit"; Quay: "quota has been exceeded on namespace"
    pattern: /\bquota\b|\bexceed\w* (?:the |its |your )?(?:[a-z]+ ){0,3}limit\b/i,
    code: 'UPSTREAM',
    what: 'the quota of the registry is used up',
    next: ({ path }) =>
      `raise the quota of the project ${projectOf(path)} on the registry, or delete what is no longer needed there, ${again}`,
  },
  {
    pattern: /status code 413\b|(?:entity|payload|content) too large/i,
    code: 'UPSTREAM',
    what: 'a proxy in front of the registry refuses requests of this size',
    next: `raise the limit of the proxy (nginx: client_max_body_size 0; ingress-nginx: the annotation nginx.ingress.kubernetes.io/proxy-body-size: "0"), ${again}`,
  },
  {
    pattern: /no space left|status code 507\b|insufficient storage|disk (?:is )?full|disk quota/i,
    code: 'UPSTREAM',
    what: 'the storage of the registry is full',
    next: `add space to the storage of the registry, or delete images there and collect its garbage, ${again}`,
  },
  {
    // zot, after its disk was full: what was sent is verified here
    pattern: /digest invalid|did not match uploaded content/i,
    code: 'UPSTREAM',
    what: 'the registry stored other bytes than were sent',
    next: `check the free space and the log of the storage of the registry, ${again}`,
  },
  {
    pattern: /status code 405|method not allowed|\bunsupported: /i,
    code: 'METHOD_NOT_ALLOWED',
    what: 'the registry is read-only',
    next: 'push to a registry that accepts content; `serve` serves straight from the bundle and is read-only',
  },
  {
    // Harbor: "denied: The system is in read only mode. Any modification is prohibited."
    pattern: /read.?only|maintenance|status code 503\b|service unavailable|\bunavailable: /i,
    code: 'UPSTREAM',
    what: 'the registry accepts no content at present',
    next: `ask the operator of the registry to end its maintenance or read-only mode (Harbor: Configuration, System Settings, Repository Read Only), ${again}`,
  },
  {
    pattern:
      /immutable|overwrit|already exists|status code 412\b|precondition|updating asset is not allowed/i,
    code: 'UPSTREAM',
    what: immutableTag,
    next: ({ host, path }) =>
      `it has other content under the tag: delete the tag there or exempt it from the rule of immutable tags, ${again}; or push below another path, for example ${host}/${projectOf(path)}/NEW`,
  },
  {
    pattern:
      /name unknown|NAME_UNKNOWN|(?<!message )\bnot found: |(?:project|repository|namespace)\b.*\b(?:not found|not exist)|status code 404\b/i,
    code: 'UPSTREAM',
    what: 'the project or repository does not exist on the registry',
    next: ({ host, path }) =>
      `create it there (Harbor: the project ${projectOf(path)}; ECR: a repository for each image, here ${path}), or push below a project that exists: ${host}/PROJECT`,
  },
  {
    pattern: /status code 40[13]\b|unauthorized|credential not found|(?<!permission )denied|forbidden/i,
    code: 'UNAUTHORIZED',
    what: 'the registry refuses the credentials',
    next: ({ path }) =>
      `run \`oras login REGISTRY\` (or \`docker login\`) as this user, or pass --registry-config FILE; the account needs permission to push, and the project ${projectOf(path)} must exist`,
  },
  {
    pattern: /no such host|server misbehaving/i,
    code: 'DNS_FAILED',
    what: 'the host of the registry does not exist in DNS',
    next: 'check its spelling and the DNS of this host',
  },
  {
    pattern: /gave HTTP response to HTTPS client|first record does not look like a TLS handshake/i,
    code: 'TLS_FAILED',
    what: 'the registry uses plain HTTP',
    next: 'pass --plain-http if you trust the network',
  },
  {
    pattern: /HTTP request to an HTTPS server|HTTP request was sent to HTTPS port|malformed HTTP response/i,
    code: 'TLS_FAILED',
    what: 'the registry uses HTTPS',
    next: 'remove --plain-http',
  },
  {
    pattern: /x509:|certificate|tls:/i,
    code: 'TLS_FAILED',
    what: 'the certificate of the registry is not trusted',
    next: 'pass the CA certificate (PEM) with --ca-file, after checking it with the operator of the registry',
  },
  {
    pattern:
      /connection refused|no route to host|network is unreachable|i\/o timeout|deadline exceeded|connection reset|broken pipe|\bEOF\b/i,
    code: 'NETWORK',
    what: 'the registry cannot be reached',
    next: `check that it is running and that host and port are right, ${again}`,
  },
  {
    pattern: /status code 50[24]\b|bad gateway|gateway time-?out/i,
    code: 'UPSTREAM',
    what: 'the proxy in front of the registry got no answer from it',
    next: `check that the registry behind the proxy is running, and raise the timeout of the proxy if large layers fail, ${again}`,
  },
  {
    pattern:
      /manifest (blob )?unknown|manifest invalid|MANIFEST_(BLOB_UNKNOWN|UNKNOWN|INVALID)|manifest references? (a|an) unknown/i,
    code: 'UNSUPPORTED',
    what: 'the registry refuses this manifest',
    next: 'the log of the registry shows why',
  },
]

/** Returns the error for a failed oras. `item` is the reference that it pushed to. */
export function orasFailure(output: string, item: string): AirgapError {
  return failure(output, {
    item,
    silent: 'oras printed no message',
    unknown: { code: 'UPSTREAM', what: 'oras failed' },
  })
}

/**
 * Returns the error for an answer of a registry that refuses content; UNSUPPORTED where it does not say why. `message` is the body of the
 * answer, `item` the repository.
 */
export function registryRefusal({
  status,
  message,
  item,
}: {
  status: number
  message: string
  item: string
}): AirgapError {
  const reason = reasonIn(message)
  return failure(`response status code ${status}: ${reason}`, {
    item,
    silent: `the answer has status ${status}`,
    unknown: { code: 'UNSUPPORTED', what: `the registry refuses the content (${status})` },
  })
}

/** Returns codes, messages and details of the distribution-spec's errors, one line; the text itself where it is something else. */
function reasonIn(text: string): string {
  try {
    const { errors } = JSON.parse(text) as {
      errors?: { code?: string; message?: string; detail?: unknown }[]
    }
    const texts = (errors ?? []).map(({ code, message, detail }) =>
      [code?.toLowerCase().replaceAll('_', ' '), message, detailText(detail)].filter(Boolean).join(': '),
    )
    return texts.join('; ') || text
  } catch {
    return text.replaceAll(/<[^<>]*>/g, ' ')
  }
}

function detailText(detail: unknown): string {
  const text = typeof detail === 'string' ? detail : JSON.stringify(detail ?? '')
  // docker-registry states the number of a system error: 28 is ENOSPC, 122 EDQUOT, 30 EROFS
  return text
    .replace(/"Err":(28|122)\b/, '"Err": "no space left on device"')
    .replace(/"Err":30\b/, '"Err": "read-only file system"')
}

function failure(
  output: string,
  { item, silent, unknown }: { item: string; silent: string; unknown: { code: ErrorCode; what: string } },
): AirgapError {
  const message = withoutQueries(output.trim().split('\n').slice(-3).join(' ')).slice(0, 600)
  const at = pushedTo(item)
  const words = withoutNames(message, at)
  const found = diagnoses.find(({ pattern }) => pattern.test(words))
  const likely = message || silent
  const other = otherHost(message, at)
  if (other !== undefined && ['DNS_FAILED', 'NETWORK', 'TLS_FAILED'].includes(found?.code ?? '')) {
    return new AirgapError(found?.code ?? 'NETWORK', `the registry refers to another host: ${other}`, {
      item,
      likely,
      next: `push to the registry by the name that it is configured with, or set that name to ${at.host} (Harbor: hostname or external_url in harbor.yml; docker-registry: http.host, or http.relativeurls: true; the realm of its token service), or let this host resolve and reach ${other}`,
    })
  }
  const next =
    found?.next ?? `read the log of the registry, and check that the registry has free space, ${again}`
  return new AirgapError(found?.code ?? unknown.code, found?.what ?? unknown.what, {
    item,
    likely,
    next: typeof next === 'string' ? next : next(at),
  })
}

function pushedTo(item: string): PushedTo {
  const name = textBefore(item, '@').replace(/:[^:/]*$/, '')
  const slash = name.indexOf('/')
  return slash < 0 ? { host: item, path: '' } : { host: name.slice(0, slash), path: name.slice(slash + 1) }
}

function projectOf(path: string): string {
  return path.split('/')[0] ?? path
}

/** A repository may be called `quota/read-only`: only the words of the message count. */
function withoutNames(message: string, { host, path }: PushedTo): string {
  const names = [host.replace(/:\d+$/, ''), path].filter(Boolean).map(name => name.replace(/\W/g, '\\$&'))
  return message
    .replace(/(?<![a-z])[a-z]+:\/\/[^\s"]+/gi, '')
    .replace(new RegExp(`(?<![\\w./-])(?:${names.join('|')})(?![\\w-])`, 'gi'), '')
}

/** Returns the host of the last address in the message, unless it is the registry's own. */
function otherHost(message: string, { host }: PushedTo): string | undefined {
  const last = [...message.matchAll(/https?:\/\/([^\s"/?]+)/gi)].at(-1)?.[1]?.toLowerCase()
  return last === undefined || last === host.toLowerCase() ? undefined : last
}

/** oras prints the URLs that it requests: addresses of uploads may be signed, or redirected to storage with a key in the query. */
function withoutQueries(text: string): string {
  return text.replace(/:\/\/[^/\s"@]+@/g, '://').replace(/([?&][^=\s&"]{1,100}=)[^&\s"]+/g, '$1…')
}
