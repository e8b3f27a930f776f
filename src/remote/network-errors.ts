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

/** What a failed connection or body means, in words. `item` is a redacted URL or a name. Other errors pass unchanged. */
export function networkError(error: unknown, item: string): unknown {
  if (error instanceof AirgapError || !(error instanceof Error)) return error
  // undici calls a refused tunnel an AbortError, so this comes first
  const proxy = proxyError(error, item)
  if (proxy) return proxy
  if (error.name === 'AbortError') return error
  const code = rootCode(error)
  const details = { item, cause: error }
  if (code === 'ENOTFOUND' || code === 'EAI_NODATA' || code === 'EAI_NONAME') {
    return new AirgapError('DNS_FAILED', 'no such host in DNS', {
      ...details,
      likely: 'a typing error in the name, or this machine has no DNS server that knows it',
      next: 'check the name; behind a proxy set HTTPS_PROXY; remap the source where only a mirror can be reached',
    })
  }
  const tls = tlsError(code, error)
  if (tls) return new AirgapError('TLS_FAILED', tls.what, { ...details, likely: tls.likely, next: tls.next })
  const failure = connectionFailure(code, error)
  return failure === undefined
    ? error
    : new AirgapError('NETWORK', failure.what, { ...details, ...failure.why })
}

/** The error's own code, or that of the first cause that has one. */
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
      next: 'ask whoever runs the proxy to allow the host, or add it to NO_PROXY if it is reachable directly',
      cause: error,
    })
  }
  if (!/proxy/i.test(error.name)) return undefined
  return new AirgapError('PROXY_FAILED', 'the proxy cannot be reached', {
    item,
    likely: 'HTTP_PROXY or HTTPS_PROXY names a wrong host or port, or its certificate is not trusted',
    next: 'check the proxy settings of the environment',
    cause: error,
  })
}

function proxyUnauthorized(item: string, cause?: unknown): AirgapError {
  return new AirgapError('PROXY_FAILED', 'the proxy wants a user and password (407)', {
    item,
    likely: 'HTTP_PROXY or HTTPS_PROXY has no credentials, or wrong ones',
    next: 'set it as http://USER:PASSWORD@proxy:port, or add the host to NO_PROXY if it is reachable directly',
    cause,
  })
}

function tlsError(code: string, error: Error): { what: string; likely: string; next: string } | undefined {
  if (unknownCa.has(code)) {
    return {
      what: 'the certificate is signed by an authority this machine does not know',
      likely: 'a private CA, or a proxy that opens TLS connections',
      next: 'give the CA certificate (PEM) by AIRGAP_CA_FILE or NODE_EXTRA_CA_CERTS, after checking it with whoever runs the host',
    }
  }
  if (code === 'CERT_HAS_EXPIRED') {
    return {
      what: 'the certificate has expired',
      likely: 'it was not renewed, or the clock of this machine is ahead',
      next: 'check the clock (date); otherwise the host has to renew its certificate',
    }
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return {
      what: 'the certificate is not valid yet',
      likely: 'the clock of this machine is behind',
      next: 'set the clock (date), then run the same command again',
    }
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return {
      what: 'the certificate is for another name',
      likely:
        'the address or alias used is not in the certificate, or something answers in place of the host',
      next: 'use a name the certificate holds (openssl s_client -connect HOST:PORT shows them)',
    }
  }
  const plain =
    /wrong version number|packet length too long|http request/i.test(error.message) ||
    code === 'ERR_SSL_WRONG_VERSION_NUMBER'
  if (plain) {
    return {
      what: 'the server does not speak TLS',
      likely: 'it is a plain http server on this port',
      next: 'where that is meant, remap the source with its scheme written out: http://HOST:PORT',
    }
  }
  if (!/^(ERR_SSL_|ERR_TLS_|CERT_|CRL_|EPROTO)/.test(code)) return undefined
  return {
    what: `the TLS connection failed (${code})`,
    likely: 'the server offers only protocols or keys that are too weak, or asks for a client certificate',
    next: 'openssl s_client -connect HOST:PORT shows what the server says',
  }
}

function connectionFailure(
  code: string,
  error: Error,
): { what: string; why: { likely: string; next: string } } | undefined {
  const again =
    'check the network, then run the same command again: what is already there is not fetched twice'
  const why = (likely: string, next = again) => ({ likely, next })
  if (/before secure TLS connection/.test(error.message)) {
    return {
      what: 'the connection broke before TLS began',
      why: why(
        'a firewall that looks into TLS, or a server that speaks plain http on this port',
        'where plain http is meant, remap the source with its scheme written out: http://HOST:PORT',
      ),
    }
  }
  switch (code) {
    case 'EAI_AGAIN':
      return {
        what: 'DNS does not answer',
        why: why('no network, or the DNS server is down', 'check /etc/resolv.conf and the network'),
      }
    case 'ECONNREFUSED':
      return {
        what: 'connection refused',
        why: why('nothing listens there, or a firewall rejects it', 'check host and port'),
      }
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return {
        what: 'no route to the host',
        why: why('no network, or only IPv6 where there is only IPv4 (or the other way)'),
      }
    case 'ECONNRESET':
    case 'EPIPE':
    case 'UND_ERR_SOCKET':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
    case 'ERR_STREAM_PREMATURE_CLOSE':
      return { what: 'the connection broke', why: why('the host or something on the way dropped it') }
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
      return { what: 'no connection in time', why: why('a firewall drops the packets, or the host is down') }
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return { what: 'the transfer stalled', why: why('the host or the line is overloaded') }
    case 'UND_ERR_HEADERS_OVERFLOW':
      return { what: 'the answer has too many headers', why: why('this is no proper HTTP server') }
  }
  if (error.name === 'HTTPParserError') {
    return { what: 'the answer is not HTTP', why: why('another kind of server on this port') }
  }
  const own = ['UND_ERR_INVALID_ARG', 'UND_ERR_ABORTED', 'UND_ERR_DESTROYED']
  const ours = code.startsWith('ERR_') || own.includes(code)
  if (!ours && (code.startsWith('UND_ERR_') || code.startsWith('E')))
    return { what: error.message.slice(0, 200) || code, why: why('a network fault') }
  return error.message === 'terminated' || error.message === 'other side closed'
    ? { what: 'the connection broke', why: why('the host or something on the way dropped it') }
    : undefined
}

/** The error for an HTTP status that is not an answer. NETWORK for those worth trying again. */
export function statusError(status: number, item: string): AirgapError {
  if (status === 407) return proxyUnauthorized(item)
  if (status === 401 || status === 403) {
    return new AirgapError('UNAUTHORIZED', `access refused (${status})`, {
      item,
      likely: 'it needs a login, or the login may not read it',
      next: 'check the address and the credentials',
    })
  }
  if (status === 404 || status === 410) {
    return new AirgapError('NOT_FOUND_UPSTREAM', `not there (${status})`, {
      item,
      likely: 'it was removed or renamed, or the address has a typing error',
      next: 'check the address in a browser; correct the manifest and lock again',
    })
  }
  if (status === 429) {
    return new AirgapError('NETWORK', 'too many requests (429)', {
      item,
      likely: 'a rate limit of the source',
      next: 'log in (docker login), remap the source to a mirror or cache, or lower -j and run the same command again later',
    })
  }
  if (status === 408 || status === 500 || status === 502 || status === 503 || status === 504) {
    return new AirgapError('NETWORK', `the source is in trouble (${status})`, {
      item,
      likely: 'an outage or an overload at the source',
      next: 'run the same command again later: what is already there is not fetched twice',
    })
  }
  return new AirgapError('UPSTREAM', `unexpected answer (${status})`, {
    item,
    likely: 'the source does not offer this, or something on the way answers in its place',
    next: 'look at the address with curl -v',
  })
}
