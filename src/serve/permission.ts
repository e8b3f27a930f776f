import type { FastifyRequest } from 'fastify'
import { defined } from '../core/defined.ts'
import type { AirgapError } from '../core/errors.ts'
import { decodePath, parseTarget } from './target.ts'

/** What a request does: the actions of the distribution project's token specification ("Token Scope Documentation"). */
export type Action = 'pull' | 'push' | 'delete'

/** What a request needs. */
export interface NeededAccess {
  action: Action
  /** absent: the registry as a whole, or the HTTP server */
  repository?: string
  /** `login`: `/v2/`, which clients request to find out how to log in; `catalog`: the list of all repositories */
  special?: 'login' | 'catalog'
}

/** Who sends a request, as far as the connection and its head say so. */
export interface Caller {
  /** value of the Authorization header */
  authorization?: string
  /** value of the Host header */
  host?: string
  remoteAddress: string
  /** IP address of this end of the connection */
  localAddress: string
  /** the connection is one of TLS */
  encrypted: boolean
}

/** Decides who may do what. */
export interface Permission {
  /** Whether everybody may read: true for almost all requests of a site, so that it must cost nothing. */
  readsFreely(): boolean
  /** whether anybody can log in */
  hasUsers(): boolean
  check(needed: NeededAccess, caller: Caller): Promise<Decision>
  /** answers requests for tokens; absent: this server takes passwords only */
  tokens?: (request: TokenRequest) => Promise<TokenAnswer>
}

/** A client that wants a token: GET with a query, or POST with a form. */
export interface TokenRequest {
  method: 'GET' | 'POST'
  /** of the query, or of the form */
  parameters: URLSearchParams
  caller: Caller
}

export interface TokenAnswer {
  status: number
  headers: Record<string, string>
  /** sent as JSON */
  body: object
}

export const tokenPath = '/token'

/** `user` is who logged in; absent: nobody had to. `headers` belong to the answer of a refusal. */
export type Decision =
  | { user?: string }
  | { refusal: AirgapError; headers: Record<string, string>; user?: string }

/** A write of a user, answered. */
export interface WriteEntry {
  action: Action
  user: string
  remoteAddress: string
  repository?: string
  /** tag or digest in the path */
  reference?: string
  /** of what is stored now */
  digest?: string
  status: number
}

/** Whether a request is one for a token: it needs no permission, as it brings its own credentials. */
export function isTokenUrl(url: string): boolean {
  return url === tokenPath || url.startsWith(`${tokenPath}?`)
}

/** What requests need at one server; undefined: none, not even a user. */
export type NeedsOf = (request: { method: string; url: string }) => NeededAccess | undefined

/**
 * Returns what a request needs of the registry: the action from its method, the repository from its path. A write is one whatever its path
 * is, so that an endpoint that this function has never heard of is guarded, too.
 */
export function registryNeeds({ method, url }: { method: string; url: string }): NeededAccess | undefined {
  if (isTokenUrl(url)) return undefined
  const path = decoded(url)
  // a user who can push can also cancel an upload
  const isDelete = method === 'DELETE' && !/\/blobs\/uploads\/[^/]+$/.test(path)
  const action = isDelete ? 'delete' : isRead(method) ? 'pull' : 'push'
  if (path === '/v2/' || path === '/v2') return { action, special: 'login' }
  if (path === '/v2/_catalog') return { action, special: 'catalog' }
  return { action, ...defined({ repository: endpointPath.exec(path)?.[1] }) }
}

/** From the end, as the name of a repository may be `a/blobs/b`. */
const endpointPath =
  /^\/v2\/(.+)\/(?:manifests\/[^/]+|blobs\/uploads(?:\/[^/]*)?|blobs\/[^/]+|tags\/list|referrers\/[^/]+)$/

/** Whether a request can be answered without looking for who sent it. It reads no more than the head's first line, as every pull passes here. */
export function isFree({ method, raw, headers }: FastifyRequest, permission: Permission): boolean {
  if (!isRead(method) || !permission.readsFreely()) return false
  const { url = '' } = raw
  if (!url.startsWith('/v2') || !/^\/v2\/?(?:\?|$)/.test(url)) return true
  return !permission.hasUsers() && headers.authorization === undefined
}

export function callerOf({ headers, socket }: FastifyRequest): Caller {
  const { authorization, host } = headers
  return {
    ...defined({ authorization, host }),
    remoteAddress: socket.remoteAddress ?? '',
    localAddress: socket.localAddress ?? '',
    encrypted: 'encrypted' in socket && socket.encrypted === true,
  }
}

/** Returns what a request of a user has changed, or was to change; undefined for a step of an upload. */
export function writeEntry(
  request: FastifyRequest,
  { user, status, digest }: { user: string; status: number; digest: unknown },
): WriteEntry | undefined {
  const { method, raw, socket } = request
  const url = raw.url ?? '/'
  const needed = isRead(method) ? undefined : registryNeeds({ method, url })
  const isStep = needed?.action === 'push' && (status === 202 || status === 204)
  if (needed === undefined || isStep) return undefined
  const [, reference] = /\/(?:manifests|blobs)\/([^/]+)$/.exec(decoded(url)) ?? []
  return {
    action: needed.action,
    user,
    remoteAddress: socket.remoteAddress ?? '',
    ...defined({
      repository: needed.repository,
      reference: reference === 'uploads' ? undefined : reference,
      digest: typeof digest === 'string' ? digest : undefined,
    }),
    status,
  }
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** A malformed path has no repository; the server refuses it later. */
function decoded(url: string): string {
  try {
    return decodePath(parseTarget(url).path)
  } catch {
    return ''
  }
}
