import { z } from 'zod'
import { AirgapError } from '../core/errors.ts'
import { redactUrl } from '../core/redact.ts'
import { isLoopback } from './addresses.ts'
import type { CredentialStore, Credentials } from './docker-config.ts'
import { collectBody } from './http-client.ts'
import { withRetries } from './retry.ts'
import type { Endpoint } from './source-map.ts'
import type { Transport } from './transport.ts'
import { type Challenge, parseChallenges } from './www-authenticate.ts'

export interface RegistryAuth {
  /** Returns the Authorization for a request, as far as the registry's scheme is known; undefined before its first challenge. */
  authorization(endpoint: Endpoint): Promise<string | undefined>
  /**
   * Answers a 401. `used` is the Authorization that was refused. Throws UNAUTHORIZED if there is no other.
   */
  answer(
    endpoint: Endpoint,
    refused: { challenge: string | undefined; used: string | undefined },
  ): Promise<string>
}

export interface AuthOptions {
  transport: Transport
  credentials: CredentialStore
  /** additional hosts of token services that may receive a registry's password: registry host → realm hosts */
  trustedRealms: Record<string, readonly string[]>
  /** what tokens are requested for; default: pull */
  access?: 'pull' | 'pull,push'
}

/** Parses `REGISTRY=REALM,…` to registry host → realm hosts. Throws USAGE. */
export function parseTrustedRealms(text: string | undefined): Record<string, string[]> {
  const realms: Record<string, string[]> = Object.create(null)
  for (const pair of (text ?? '').split(/[,\s]+/).filter(Boolean)) {
    const match = /^([\w.:[\]-]+)=([\w.:[\]-]+)$/.exec(pair)
    if (match === null) {
      throw new AirgapError('USAGE', 'the list of trusted realms is invalid', {
        item: `AIRGAP_TRUSTED_REALMS: ${pair.slice(0, 200)}`,
        likely: 'an entry contains a scheme or a path',
        next: 'write entries as REGISTRY=REALM with host names, separated by commas',
      })
    }
    const [, registry = '', realm = ''] = match
    ;(realms[registry] ??= []).push(realm)
  }
  return realms
}

/** How a registry authenticates, learned from its first 401. */
type Scheme = { type: 'basic' } | { type: 'bearer'; realm: URL; service: string | undefined; scope: string }

interface Token {
  header: string
  /** milliseconds since 1970 */
  expires: number
}

/** distribution, docs/spec/auth/token.md: a token without `expires_in` is valid for 60 seconds; its client never assumes less. */
const shortestLifetime = 60 /* seconds */
/** A token service may be malicious, too: its answer must not exhaust memory (CWE-400). */
const maxTokenBytes = 1 << 20

/** Go programs write null and "" for what they do not have, and some services write the seconds as text. */
const tokenSchema = z.object({
  token: z.string().nullish(),
  access_token: z.string().nullish(),
  expires_in: z
    .unknown()
    .optional()
    .transform(value => Number(value) || 0),
})

/**
 * Token and Basic authentication of registries (distribution, docs/spec/auth/token.md and oauth.md). Tokens are kept per registry and
 * repository; however many requests find one expired, it is renewed once.
 */
export function createRegistryAuth(options: AuthOptions): RegistryAuth {
  const { transport, credentials, access = 'pull' } = options
  const schemes = new Map<string, Scheme>()
  const tokens = new Map<string, Token>()
  const renewing = new Map<string, Promise<Token>>()

  const renew = (endpoint: Endpoint, scheme: Scheme): Promise<Token> => {
    const key = keyOf(endpoint)
    const running = renewing.get(key)
    if (running) return running
    // no signal of one request ends it: others wait for the same token after the first one gives up
    const renewal = obtain(endpoint, scheme, options)
      .then(token => {
        tokens.set(key, token)
        return token
      })
      .finally(() => renewing.delete(key))
    renewing.set(key, renewal)
    return renewal
  }

  return {
    async authorization(endpoint) {
      const key = keyOf(endpoint)
      const scheme = schemes.get(key)
      if (scheme === undefined) return undefined
      const token = tokens.get(key)
      if (token && token.expires > transport.clock.now()) return token.header
      return (await renew(endpoint, scheme)).header
    },
    async answer(endpoint, refused) {
      const key = keyOf(endpoint)
      const scheme = schemeOf(endpoint, { challenges: parseChallenges(refused.challenge), access })
      if (scheme.type === 'bearer') await checkRealm(endpoint, scheme.realm, options)
      schemes.set(key, scheme)
      const current = tokens.get(key)
      // another request may have renewed it while this one was sent with the old one
      if (current && current.header !== refused.used && current.expires > transport.clock.now())
        return current.header
      const token = await renew(endpoint, scheme)
      if (token.header !== refused.used) return token.header
      throw unauthorized(endpoint, {
        what: 'the registry refused the login',
        likely: (await credentials.find(endpoint))
          ? 'the password is wrong, or the login has no access to this repository'
          : 'the repository is private or does not exist',
      })
    },
  }
}

/** Tokens are for one repository of one registry (scope `repository:NAME:pull`, or `pull,push`). */
function keyOf(endpoint: Endpoint): string {
  return `${endpoint.baseUrl} ${endpoint.repository}`
}

function schemeOf(
  endpoint: Endpoint,
  { challenges, access }: { challenges: Challenge[]; access: NonNullable<AuthOptions['access']> },
): Scheme {
  const bearer = challenges.find(challenge => challenge.scheme === 'bearer')
  const realm = bearer?.parameters['realm']
  if (bearer && realm !== undefined && URL.canParse(realm, endpoint.baseUrl)) {
    return {
      type: 'bearer',
      realm: new URL(realm, endpoint.baseUrl),
      service: bearer.parameters['service'],
      // never the scope of the challenge: a malicious mirror could name `push`, or another repository of the same token service, and
      // would then hold a token for that
      scope: `repository:${endpoint.repository}:${access}`,
    }
  }
  if (challenges.some(challenge => challenge.scheme === 'basic')) return { type: 'basic' }
  throw unauthorized(endpoint, {
    what: 'the registry denies access and offers no supported login',
    likely: `it offers ${challenges.map(challenge => challenge.scheme).join(', ') || 'nothing'}; Bearer and Basic are supported`,
  })
}

/**
 * Checks the realm, which an attacker on the connection or a malicious registry may choose. It must use https, or http to this machine,
 * or http on the registry's own host if the registry itself uses http: otherwise anyone on the connection reads the password (CWE-319).
 * And it must not be closer to this machine than the registry: a realm such as http://169.254.169.254/ would make the build host
 * query its cloud metadata service (server-side request forgery, CWE-918). Throws UNAUTHORIZED, REDIRECT_REFUSED.
 */
async function checkRealm(
  endpoint: Endpoint,
  realm: URL,
  { transport, trustedRealms }: AuthOptions,
): Promise<void> {
  const registry = new URL(endpoint.baseUrl)
  const plain =
    realm.protocol === 'http:' &&
    (isLoopback(realm.hostname) || (registry.protocol === 'http:' && realm.hostname === registry.hostname))
  if (realm.protocol !== 'https:' && !plain) {
    throw unauthorized(endpoint, {
      what: `the registry refers to a token service without TLS: ${redactUrl(realm)}`,
      likely: 'the registry is misconfigured, or someone on the connection tries to get the password',
      next: 'ask the operator of the registry to enable TLS on its token service',
    })
  }
  if (!isDeclared(endpoint, realm, trustedRealms)) await transport.assertMayFollow(registry, realm)
}

/**
 * Returns whether the registry's password may be sent to the realm: the same host, the same site, or declared. A client that sends it
 * to any realm of a challenge sends it to the author of the challenge (CVE-2020-15157, "ContainerDrip", in containerd).
 */
function isTrustedRealm(endpoint: Endpoint, realm: URL, declared: AuthOptions['trustedRealms']): boolean {
  const registry = new URL(endpoint.baseUrl).hostname
  return (
    realm.hostname === registry || sameSite(realm.hostname, registry) || isDeclared(endpoint, realm, declared)
  )
}

function isDeclared(endpoint: Endpoint, realm: URL, declared: AuthOptions['trustedRealms']): boolean {
  return declared[endpoint.host]?.includes(realm.host) ?? false
}

/**
 * Compares registrable domains by a heuristic: the last two labels, or three under `co.uk` and the like. It only decides whether a
 * registry's token service receives that registry's own password, which the registry could request by Basic anyway. An IP address
 * has no domain: 10.0.0.1 and 9.9.0.1 are not of one site.
 */
function sameSite(a: string, b: string): boolean {
  const site = (host: string) => {
    if (!/[a-z]/i.test(host.replace(/^.*\./, ''))) return undefined
    const labels = host.toLowerCase().split('.')
    const shared =
      labels.length > 2 &&
      /^(?:co|com|org|net|gov|ac|edu|or|go|ne|re)$/.test(labels.at(-2) ?? '') &&
      labels.at(-1)?.length === 2
    return labels.length < 2 ? undefined : labels.slice(shared ? -3 : -2).join('.')
  }
  const mine = site(a)
  return mine !== undefined && mine === site(b)
}

async function obtain(endpoint: Endpoint, scheme: Scheme, options: AuthOptions): Promise<Token> {
  const login = await options.credentials.find(endpoint)
  if (scheme.type === 'basic') {
    if (login?.type === 'basic') return { header: basicHeader(login), expires: Number.POSITIVE_INFINITY }
    throw unauthorized(endpoint, {
      what: 'the registry requires a user and password',
      likely: login
        ? 'the stored login is a token, which this registry does not accept'
        : 'this user has not logged in to it',
    })
  }
  const trusted = isTrustedRealm(endpoint, scheme.realm, options.trustedRealms)
  try {
    return await fetchToken(scheme, {
      transport: options.transport,
      login: trusted ? login : undefined,
      // a declared realm may be anywhere: a person chose it
      namedBy: isDeclared(endpoint, scheme.realm, options.trustedRealms) ? undefined : endpoint.baseUrl,
    })
  } catch (error) {
    if (!(error instanceof AirgapError) || error.code !== 'UNAUTHORIZED') throw error
    throw denied(endpoint, {
      realm: scheme.realm,
      login: login === undefined ? 'none' : trusted ? 'sent' : 'withheld',
    })
  }
}

function denied(
  endpoint: Endpoint,
  { realm, login }: { realm: URL; login: 'none' | 'sent' | 'withheld' },
): AirgapError {
  const { host } = endpoint
  const what = `the token service ${realm.host} denied access`
  switch (login) {
    case 'none':
      return unauthorized(endpoint, { what, likely: 'the repository is private or does not exist' })
    case 'sent':
      return unauthorized(endpoint, { what, likely: 'the password is wrong or has expired' })
    case 'withheld':
      return unauthorized(endpoint, {
        what,
        likely: `the login for ${host} was not sent to it, as it is another site`,
        next: `if ${realm.host} belongs to ${host}, set AIRGAP_TRUSTED_REALMS=${host}=${realm.host}`,
      })
  }
}

async function fetchToken(
  scheme: Scheme & { type: 'bearer' },
  options: { transport: Transport; login: Credentials | undefined; namedBy: string | undefined },
): Promise<Token> {
  const { transport, login, namedBy } = options
  const started = transport.clock.now()
  const bytes = await withRetries(async () => {
    const response =
      login?.type === 'identity-token'
        ? await transport.send(scheme.realm.href, {
            ...refreshForm(scheme, login.identityToken),
            namedBy,
          })
        : await transport.send(tokenUrl(scheme, login), {
            namedBy,
            headers: login ? { authorization: basicHeader(login) } : {},
          })
    return await collectBody(response.body, {
      transport,
      item: redactUrl(scheme.realm),
      maxBytes: maxTokenBytes,
      tooLargeIs: 'UPSTREAM_INVALID',
      headers: response.headers,
    })
  }, transport.retrying())
  const answer = parseToken(bytes)
  if (answer === undefined) {
    throw new AirgapError('UPSTREAM_INVALID', 'the token service returned no token', {
      item: redactUrl(scheme.realm),
      likely: 'something on the connection answers instead of it (a captive portal, a proxy)',
      next: 'request the address with `curl -v`; log in if a page requires it',
    })
  }
  const lifetime = answer.expiresIn * 1000
  // renewed early, so that it does not expire during a request; after an hour at the latest, whatever the service states
  return { header: `Bearer ${answer.token}`, expires: started + Math.min(lifetime * 0.9, 3_600_000) }
}

function parseToken(bytes: Buffer): { token: string; expiresIn: number } | undefined {
  try {
    const { token, access_token, expires_in } = tokenSchema.parse(JSON.parse(bytes.toString('utf8')))
    const value = token || access_token
    const expiresIn = Math.max(expires_in, shortestLifetime)
    // a line end in a token would add headers to our requests (CWE-113)
    return value && /^[\x21-\x7e]+$/.test(value) ? { token: value, expiresIn } : undefined
  } catch {
    return undefined
  }
}

function tokenUrl(scheme: Scheme & { type: 'bearer' }, login: Credentials | undefined): string {
  const url = new URL(scheme.realm)
  if (scheme.service !== undefined) url.searchParams.set('service', scheme.service)
  url.searchParams.set('scope', scheme.scope)
  if (login?.type === 'basic') url.searchParams.set('account', login.username)
  return url.href
}

/** Exchanges a refresh token by POST (oauth.md): in a URL it would end up in logs. */
function refreshForm(scheme: Scheme & { type: 'bearer' }, identityToken: string) {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: identityToken,
    scope: scheme.scope,
    client_id: 'airgap',
  })
  if (scheme.service !== undefined) form.set('service', scheme.service)
  return {
    method: 'POST' as const,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
  }
}

function basicHeader(login: Credentials & { type: 'basic' }): string {
  return `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`
}

/** Returns the error for a registry that denies access, with the command that helps. */
export function unauthorized(
  endpoint: Endpoint,
  why: { what: string; likely: string; next?: string },
): AirgapError {
  return new AirgapError('UNAUTHORIZED', why.what, {
    item: endpoint.name,
    likely: why.likely,
    next:
      why.next ??
      `check the name; if it is right, run \`docker login ${endpoint.host}\` as this user (or point DOCKER_CONFIG at the login)`,
  })
}
