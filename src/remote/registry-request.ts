import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { type RegistryAuth, unauthorized } from './auth.ts'
import type { Endpoint } from './source-map.ts'
import type { SendRequest, SentResponse, Transport } from './transport.ts'

export interface RegistryContext {
  transport: Transport
  auth: RegistryAuth
}

/** Sends one request to a registry, with its login. Throws for every status that is not handled. */
export async function ask(
  endpoint: Endpoint,
  path: string,
  options: { context: RegistryContext; request?: SendRequest },
): Promise<SentResponse> {
  const { transport, auth } = options.context
  const request = options.request ?? {}
  const url = path.startsWith('http') ? path : `${endpoint.baseUrl}/v2/${endpoint.repository}/${path}`
  const send = (authorization: string | undefined) =>
    transport.send(url, {
      ...request,
      headers: { ...request.headers, ...defined({ authorization }) },
      handles: [...(request.handles ?? []), 401, 403],
    })
  let used = await auth.authorization(endpoint)
  let response = await send(used)
  const own = new URL(endpoint.baseUrl).origin
  // a 401 after a redirect is not from the registry: its login must not go to another host
  if (response.status === 401 && response.origin === own) {
    response.body.destroy()
    used = await auth.answer(endpoint, { challenge: response.headers['www-authenticate'], used })
    response = await send(used)
  }
  if (response.status !== 401 && response.status !== 403) return response
  // an upload: the answer may name a quota or a rule
  if (response.origin === own && request.handles?.includes(response.status)) return response
  response.body.destroy()
  if (response.origin !== own) {
    throw new AirgapError(
      'UNAUTHORIZED',
      `the storage to which the registry redirects denies access (${response.status})`,
      {
        item: response.url,
        likely:
          'the signed address has expired (the clock of this machine is wrong), or a firewall answers instead',
        next: 'check the clock; request access to that host, or remap the source to a mirror',
      },
    )
  }
  throw unauthorized(endpoint, {
    what: `the registry denies access (${response.status})`,
    likely:
      used === undefined
        ? 'the repository is private or does not exist'
        : 'the login has no access to this repository, or the repository does not exist',
  })
}

/** Returns the Link to the next page (RFC 8288), only on the same registry: another host would receive its token. */
export function nextPage(endpoint: Endpoint, link: string | undefined): string | undefined {
  const target = /<([^<>]{1,2000})>\s*;[^,]*\brel="?next"?/.exec(link ?? '')?.[1]
  if (target === undefined || !URL.canParse(target, endpoint.baseUrl)) return undefined
  const url = new URL(target, endpoint.baseUrl)
  return url.origin === new URL(endpoint.baseUrl).origin ? url.href : undefined
}
