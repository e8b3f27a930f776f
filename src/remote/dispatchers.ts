import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { getCACertificates } from 'node:tls'
import { Agent, type buildConnector, type Dispatcher, EnvHttpProxyAgent } from 'undici'
import { defined } from '../core/defined.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import { withoutTrailing } from '../core/trim.ts'
import { isLoopback } from './addresses.ts'

export interface DispatcherOptions {
  /** connections to one host */
  connections: number
  connectTimeoutMs: number
  /** longest wait for an answer's headers, and between two chunks of its body */
  stallMs: number
  /** PEM file of certificate authorities that are trusted in addition to the default ones */
  caFile?: string | undefined
  /** client certificates (entitlements), each for one URL prefix only */
  clients?: readonly ClientCertificate[] | undefined
  env: Record<string, string | undefined>
  /** makes the connector for direct connections; those to a proxy are the proxy's own */
  connector: (options: buildConnector.BuildOptions) => buildConnector.connector
}

/** PEM files that authenticate this host to a server. */
export interface ClientCertificate {
  /** `https://cdn.example/content/`: presented for URLs under it and nowhere else, not even after a redirect */
  prefix: string
  certificate: string
  key: string
}

/** Connection pools: one through the environment's proxies, one without. */
export interface Dispatchers {
  for(url: URL): Dispatcher
  close(): Promise<void>
}

export function createDispatchers(options: DispatcherOptions): Dispatchers {
  const ca = options.caFile === undefined ? undefined : trusted(options.caFile)
  const tls = defined({ ca })
  const shared = {
    connections: options.connections,
    // undici uses HTTP/2 by default; one such connection is slower here than several of HTTP/1.1, and its stalls are harder to detect
    allowH2: false,
    pipelining: 1,
    headersTimeout: options.stallMs,
    bodyTimeout: options.stallMs,
    connectTimeout: options.connectTimeoutMs,
  }
  const connector = (tlsOptions: object) =>
    options.connector({ timeout: options.connectTimeoutMs, allowH2: false, ...tlsOptions })
  const direct = new Agent({ ...shared, connect: connector(tls) })
  const entitled = (options.clients ?? []).map(client => {
    const shown = { ...tls, cert: readPem(client.certificate), key: readPem(client.key) }
    const agent = new Agent({ ...shared, connect: connector(shown) })
    const throughProxy = proxyAgents(
      { ...shared, connect: connector(tls), requestTls: shown },
      { env: options.env, ca },
    )
    return { prefix: `${withoutTrailing(client.prefix, '/')}/`, agent, throughProxy }
  })
  const proxied = proxyAgents(
    { ...shared, connect: connector(tls), ...defined({ requestTls: ca && tls }) },
    { env: options.env, ca },
  )
  return {
    for(url) {
      // loopback is never behind a proxy, whatever NO_PROXY says; undici reads NO_PROXY itself
      const own = entitled.find(({ prefix }) => url.href.startsWith(prefix))
      if (isLoopback(url.hostname)) return own?.agent ?? direct
      if (own !== undefined) return own.throughProxy.https ?? own.agent
      return (url.protocol === 'https:' ? proxied.https : proxied.http) ?? direct
    },
    async close() {
      const own = entitled.flatMap(({ agent, throughProxy }) => [
        agent,
        throughProxy.http,
        throughProxy.https,
      ])
      await Promise.all([direct, proxied.http, proxied.https, ...own].map(agent => agent?.destroy()))
    },
  }
}

/** Makes one agent for each scheme that has a proxy: as in curl and Go, HTTP_PROXY does not apply to https. */
function proxyAgents(
  options: EnvHttpProxyAgent.Options,
  { env, ca }: { env: Record<string, string | undefined>; ca: string[] | undefined },
): { http?: EnvHttpProxyAgent; https?: EnvHttpProxyAgent } {
  const named = (name: string) => env[name.toLowerCase()] || env[name.toUpperCase()]
  const noProxy = named('no_proxy') ?? ''
  const agent = (proxy: string | undefined) => {
    if (!proxy) return undefined
    const uri = proxyUrl(proxy)
    // undici speaks TLS to a SOCKS proxy as soon as `proxyTls` is present, even when empty
    const proxyTls = /^socks/i.test(uri) ? undefined : ca && { ca }
    return new EnvHttpProxyAgent({
      ...options,
      ...defined({ proxyTls }),
      httpProxy: uri,
      httpsProxy: uri,
      noProxy,
    })
  }
  const http = agent(named('http_proxy') ?? named('all_proxy'))
  const https = agent(named('https_proxy') ?? named('all_proxy'))
  return defined({ http, https })
}

function proxyUrl(text: string): string {
  const url = /^[a-z0-9]+:\/\//i.test(text) ? text : `http://${text}`
  if (URL.canParse(url)) return url
  throw new AirgapError('USAGE', 'the proxy of the environment is not a URL', {
    item: 'HTTP_PROXY, HTTPS_PROXY',
    next: 'write it as http://proxy.example:3128',
  })
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw fromSystemError(error, path)
  }
}

/** Returns the default authorities (with NODE_EXTRA_CA_CERTS) and those of the file: `ca` alone would replace the defaults. */
function trusted(file: string): string[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw fromSystemError(error, file)
  }
  const own = text.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []
  try {
    if (own.length === 0) throw new Error('it contains no certificate')
    for (const pem of own) new X509Certificate(pem)
  } catch (error) {
    throw new AirgapError('USAGE', 'the file has no valid CA certificates', {
      item: file,
      likely: 'it is a key, a DER file or an empty file',
      next: 'use a PEM file (-----BEGIN CERTIFICATE-----); `openssl x509 -inform der -in FILE` converts DER',
      cause: error,
    })
  }
  return [...getCACertificates('default'), ...own]
}
