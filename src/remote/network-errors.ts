import { AirgapError, errnoOf } from '../core/errors.ts'

const unknownCa = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_UNTRUSTED',
  'INVALID_CA',
])

/** Turns the error of a connection or a body into an AirgapError with advice. `item` is a redacted URL or a name. Returns other errors unchanged. */
export function networkError(error: unknown, item: string): unknown {
  if (error instanceof AirgapError || !(error instanceof Error)) return error
  // undici reports a refused tunnel as an AbortError, so this comes first
  const proxy = proxyError(error, item)
  if (proxy) return proxy
  if (error.name === 'AbortError') return error
  const code = rootCode(error)
  const details = { item, cause: error }
  if (code === 'ENOTFOUND' || code === 'EAI_NODATA' || code === 'EAI_NONAME') {
    return new AirgapError('DNS_FAILED', 'the host does not exist in DNS', {
      ...details,
      likely: 'a typing error in the name, or the DNS server of this machine does not know it',
      next: 'check the name; behind a proxy, set HTTPS_PROXY; if only a mirror can be reached, remap the source',
    })
  }
  const tls = tlsError(code, error)
  if (tls) return new AirgapError('TLS_FAILED', tls.what, { ...details, likely: tls.likely, next: tls.next })
  const failure = connectionFailure(code, error)
  return failure === undefined
    ? error
    : new AirgapError('NETWORK', failure.what, { ...details, ...failure.why })
}

/** Returns the code of the error, or of its first cause that has one. */
function rootCode(error: Error): string {
  let current: unknown = error
  for (let depth = 0; depth < 5 && current instanceof Error; depth++) {
    const code = errnoOf(current)
    if (code !== undefined && code !== 'UND_ERR_INFO') return code
    current = current instanceof AggregateError ? current.errors[0] : current.cause
  }
  return ''
}

function proxyError(error: Error, item: string): AirgapError | undefined {
  const status =
    /Proxy response \((\d+)\)/.exec(error.message)?.[1] ?? (/\(407\)/.test(error.message) ? '407' : undefined)
  if (status === '407') return proxyUnauthorized(item, error)
  if (status !== undefined) {
    return new AirgapError('PROXY_FAILED', `the proxy answered ${status}`, {
      item,
      likely: 'the proxy does not allow this destination, or cannot reach it',
      next: 'ask the operator of the proxy to allow the host, or add it to NO_PROXY if it is reachable directly',
      cause: error,
    })
  }
  if (!/proxy/i.test(error.name)) return undefined
  return new AirgapError('PROXY_FAILED', 'the proxy cannot be reached', {
    item,
    likely: 'HTTP_PROXY or HTTPS_PROXY names a wrong host or port, or its certificate is not trusted',
    next: 'check HTTP_PROXY, HTTPS_PROXY and NO_PROXY',
    cause: error,
  })
}

function proxyUnauthorized(item: string, cause?: unknown): AirgapError {
  return new AirgapError('PROXY_FAILED', 'the proxy requires a user and password (407)', {
    item,
    likely: 'HTTP_PROXY or HTTPS_PROXY has no credentials, or wrong ones',
    next: 'set it as http://USER:PASSWORD@proxy:port, or add the host to NO_PROXY if it is reachable directly',
    cause,
  })
}

function today(): string {
  return new Date().toISOString().slice(0, 10)
}

function tlsError(code: string, error: Error): { what: string; likely: string; next: string } | undefined {
  if (unknownCa.has(code)) {
    return {
      what: 'the certificate is signed by an authority that this machine does not trust',
      likely: 'a private CA, or a proxy that intercepts TLS connections',
      next: 'set AIRGAP_CA_FILE to the CA certificate (PEM), after checking it with the operator of the host',
    }
  }
  if (code === 'CERT_HAS_EXPIRED') {
    return {
      what: 'the certificate has expired',
      likely: `it was not renewed, or the clock of this machine is ahead (it shows ${today()})`,
      next: 'if the clock is wrong, set it (`timedatectl set-ntp true`, or `date -s`); if not, the host must renew its certificate',
    }
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return {
      what: 'the certificate is not valid yet',
      likely: `the clock of this machine is behind: it shows ${today()}`,
      next: 'set the clock (`timedatectl set-ntp true`, or `date -s`), then run the same command again',
    }
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return {
      what: 'the certificate is for another name',
      likely: 'the certificate does not list this address or alias, or something answers instead of the host',
      next: 'use a name that the certificate lists (`openssl s_client -connect HOST:PORT` shows them)',
    }
  }
  const plain =
    /wrong version number|packet length too long|http request/i.test(error.message) ||
    code === 'ERR_SSL_WRONG_VERSION_NUMBER'
  if (plain) {
    return {
      what: 'the server does not speak TLS',
      likely: 'an HTTP server without TLS listens on this port',
      next: 'if that is intended, remap the source with its scheme: http://HOST:PORT',
    }
  }
  if (!/^(ERR_SSL_|ERR_TLS_|CERT_|CRL_|EPROTO)/.test(code)) return undefined
  return {
    what: `the TLS connection failed (${code})`,
    likely: 'the server offers only weak protocols or keys, or requires a client certificate',
    next: '`openssl s_client -connect HOST:PORT` shows the answer of the server',
  }
}

function connectionFailure(
  code: string,
  error: Error,
): { what: string; why: { likely: string; next: string } } | undefined {
  const again = 'check the network, then run the same command again: it fetches only what is missing'
  const why = (likely: string, next = again) => ({ likely, next })
  if (/before secure TLS connection/.test(error.message)) {
    return {
      what: 'the connection was closed before TLS was established',
      why: why(
        'a firewall that inspects TLS, or an HTTP server without TLS on this port',
        'if plain HTTP is intended, remap the source with its scheme: http://HOST:PORT',
      ),
    }
  }
  switch (code) {
    case 'EAI_AGAIN':
      return {
        what: 'DNS does not respond',
        why: why('no network, or the DNS server is down', 'check /etc/resolv.conf and the network'),
      }
    case 'ECONNREFUSED':
      return {
        what: 'the connection was refused',
        why: why(
          'nothing listens on this port, or a firewall rejects the connection',
          'check the host and the port',
        ),
      }
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return {
        what: 'there is no route to the host',
        why: why(
          'the network is down, or the host has only IPv6 and this machine only IPv4 (or the reverse)',
        ),
      }
    case 'ECONNRESET':
    case 'EPIPE':
    case 'UND_ERR_SOCKET':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
    case 'ERR_STREAM_PREMATURE_CLOSE':
      return {
        what: 'the connection was closed',
        why: why('the host or something on the connection closed it'),
      }
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return {
        what: 'the connection timed out',
        why: why('a firewall drops the packets, or the host is down'),
      }
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return { what: 'the transfer stalled', why: why('the host or the connection is overloaded') }
    case 'UND_ERR_HEADERS_OVERFLOW':
      return { what: 'the answer has too many headers', why: why('the server does not follow HTTP') }
  }
  if (error.name === 'HTTPParserError') {
    return { what: 'the answer is not HTTP', why: why('another kind of server listens on this port') }
  }
  const own = ['UND_ERR_INVALID_ARG', 'UND_ERR_ABORTED', 'UND_ERR_DESTROYED']
  const ours = code.startsWith('ERR_') || own.includes(code)
  if (!ours && (code.startsWith('UND_ERR_') || code.startsWith('E')))
    return { what: error.message.slice(0, 200) || code, why: why('a network failure') }
  return error.message === 'terminated' || error.message === 'other side closed'
    ? { what: 'the connection was closed', why: why('the host or something on the connection closed it') }
    : undefined
}

/**
 * Returns the error for a server that is not a registry and denies access. `login` is the one that was sent; `isSigned` where the
 * query of the manifest's URL was sent.
 */
export function webUnauthorized(
  status: number,
  options: { item: string; host: string; login: { file: string } | undefined; isSigned: boolean },
): AirgapError {
  return new AirgapError('UNAUTHORIZED', `access is denied (${status})`, {
    item: options.item,
    ...whyUnauthorized(status, options),
  })
}

/** Whether a server answered 401: it wants a login, or another one. 403 may also mean that the content does not exist. */
export function isLoginMissing(error: AirgapError): boolean {
  return error.code === 'UNAUTHORIZED' && error.message.includes('(401)')
}

function whyUnauthorized(
  status: number,
  { host, login, isSigned }: { host: string; login: { file: string } | undefined; isSigned: boolean },
): { likely: string; next: string } {
  if (login !== undefined) {
    return {
      likely: `the password for ${host} in ${login.file} is wrong, or the user has no access to this`,
      next: `correct the entry of ${host} in ${login.file}`,
    }
  }
  if (isSigned) {
    return {
      likely:
        'the token or signature in the query of the URL has expired, is wrong, or does not cover this address',
      next: 'renew the query of the URL in the manifest; the lockfile stays valid',
    }
  }
  return {
    likely:
      status === 403
        ? 'it requires a login, or does not exist: some servers answer 403 for both'
        : 'it requires a login',
    next: `check the address; write \`machine ${host} login NAME password PASSWORD\` into ~/.netrc (or the file that AIRGAP_NETRC names), or add its token or signature to the URL in the manifest; if a page signed the link, run \`airgap lock\` again`,
  }
}

/** Returns the error for an HTTP status without content: NETWORK if it is worth a retry. */
export function statusError(status: number, item: string): AirgapError {
  if (status === 407) return proxyUnauthorized(item)
  if (status === 401 || status === 403) {
    return new AirgapError('UNAUTHORIZED', `access is denied (${status})`, {
      item,
      likely: 'it requires a login, or the login has no access to it',
      next: 'check the address and the credentials',
    })
  }
  if (status === 404 || status === 410) {
    return new AirgapError('NOT_FOUND_UPSTREAM', `the content does not exist (${status})`, {
      item,
      likely: 'it was removed or renamed, or the address is misspelled',
      next: 'check the address in a browser; correct the manifest, then run `airgap lock` again',
    })
  }
  if (status === 429) {
    return new AirgapError('NETWORK', 'the source has received too many requests (429)', {
      item,
      likely: 'a rate limit of the source',
      next: 'log in (docker login), remap the source to a mirror or cache, or lower -j and run the same command again later',
    })
  }
  if (status === 408 || status === 500 || status === 502 || status === 503 || status === 504) {
    return new AirgapError('NETWORK', `the source failed (${status})`, {
      item,
      likely: 'an outage or overload of the source',
      next: 'run the same command again later: it fetches only what is missing',
    })
  }
  return new AirgapError('UPSTREAM', `the source gave an unexpected answer (${status})`, {
    item,
    likely: 'the source does not support this, or something on the connection answers instead of it',
    next: 'request the address with `curl -v`',
  })
}
