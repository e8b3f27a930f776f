import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { type AuditEvent, openAuditLog } from '../access/audit.ts'
import { type Authority, type GrantAnswer, type GrantRequest, openAuthority } from '../access/authority.ts'
import { type AccessState, accessControl } from '../access/control.ts'
import type { Login, LoginAnswer } from '../access/logins.ts'
import type { SteadyClock } from '../access/token.ts'
import { tokenEndpoint } from '../access/token-endpoint.ts'
import { AirgapError } from '../core/errors.ts'
import { bootId } from '../core/process-lock.ts'
import type { Caller, Permission, WriteEntry } from '../serve/permission.ts'
import type { ProcessLink } from '../serve/process-link.ts'
import { registryOf, type SiteAddress } from '../site/address.ts'
import { openTokenKey } from '../site/server-key.ts'
import type { SiteState } from '../site/state.ts'

/** Who may do what at the servers of a site, in whichever process they run. */
export type SiteAccess = Pick<Authority, 'state' | 'login' | 'grant'> & {
  clock: SteadyClock
  /** Notes a write of a user in the audit log. */
  noteWrite(entry: WriteEntry): void
}

/** Names of what a serving process asks its supervisor, and of what that tells all of them. */
const messages = { state: 'access', login: 'login', grant: 'grant', write: 'write' } as const

/** Opens the users of a site. Throws what is wrong with their file, and what `openTokenKey` throws. */
export async function openSiteAccess(
  state: SiteState,
  {
    requireLogin,
    self,
    now,
    failed,
  }: {
    requireLogin: boolean
    self: readonly string[]
    now: () => Date
    failed: (error: unknown) => void
  },
): Promise<Authority & SiteAccess> {
  const clock = await steadyClock()
  const log = openAuditLog(state.paths.audit, { now, failed })
  const authority = await openAuthority({
    site: state.id,
    users: state.paths.users,
    requireLogin,
    key: await openTokenKey(state.folder),
    clock,
    self,
    audit: log.note,
    failed,
  })
  return {
    ...authority,
    clock,
    noteWrite: entry => log.note(eventOf(entry)),
    async close() {
      await authority.close()
      await log.close()
    },
  }
}

function eventOf({ action, user, remoteAddress, status, ...what }: WriteEntry): AuditEvent {
  const result = status === 403 ? 'refused' : status >= 200 && status < 300 ? 'ok' : 'failed'
  return { what: action, result, user, address: remoteAddress, ...what, status }
}

/** Takes over a write that a serving process has answered. */
export function noteRemoteWrite(access: SiteAccess, { what, value }: { what: string; value: unknown }): void {
  if (what === messages.write) access.noteWrite(value as WriteEntry)
}

/** Answers the questions of `remoteAccess`; undefined for others. */
export function answerAccess(
  authority: Authority,
  { what, value }: { what: string; value: unknown },
): Promise<unknown> | undefined {
  if (what === messages.state) return Promise.resolve(authority.state())
  if (what === messages.login) return authority.login(value as Login)
  if (what === messages.grant) return authority.grant(value as GrantRequest)
  return undefined
}

/** Tells serving processes about every change of the users, until the returned function is called. */
export function tellAccess(authority: Authority, tell: (what: string, value: unknown) => void): () => void {
  return authority.onChange(state => tell(messages.state, state))
}

/** The access of a serving process: it has no users' file, no password and no key that signs. */
export async function remoteAccess(
  link: Pick<ProcessLink, 'ask' | 'tell' | 'onNotice'>,
): Promise<SiteAccess> {
  let state: AccessState | undefined
  link.onNotice((what, value) => {
    if (what === messages.state) state = value as AccessState
  })
  const first = (await link.ask(messages.state, null)) as AccessState
  state ??= first
  const clock = await steadyClock()
  return {
    state: () => state ?? first,
    login: async login => (await link.ask(messages.login, login)) as LoginAnswer,
    grant: async request => (await link.ask(messages.grant, request)) as GrantAnswer,
    clock,
    noteWrite: entry => link.tell(messages.write, entry),
  }
}

/** Returns what the registry, and the HTTP server, decide with. */
export function permissionsOf(
  { state, login, grant, clock }: SiteAccess,
  address: SiteAddress,
): { registry: Permission; http: Permission } {
  const realm = (caller: Caller) => realmFor(caller, address)
  return {
    registry: {
      ...accessControl({ state, login, clock, realm }),
      tokens: tokenEndpoint(grant),
    },
    http: accessControl({ state, login, clock }),
  }
}

/**
 * Returns the URL of tokens, at the name by which the client came: a machine that reaches the site by another name than most would not
 * reach the configured one. A name that is none of ours is not repeated: credentials would go where a forged Host header says.
 */
function realmFor({ host = '', localAddress, encrypted }: Caller, address: SiteAddress): string {
  const [, name = '', port] = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(\d{1,5}))?$/.exec(host.toLowerCase()) ?? []
  const bare = name.replace(/^\[|\]$/g, '')
  const local = localAddress.replace(/^::ffff:(?=\d+\.)/i, '').toLowerCase()
  const isOwn =
    bare === address.host ||
    bare === hostname().toLowerCase() ||
    (isIP(bare) !== 0 && bare === local) ||
    (bare === 'localhost' && /^127\.|^::1$/.test(local))
  const authority = isOwn ? (port === undefined ? name : `${name}:${port}`) : registryOf(address)
  return `${encrypted ? 'https' : 'http'}://${authority}/token`
}

/** CLOCK_MONOTONIC is the same in all processes of a machine, and begins again when it boots. */
async function steadyClock(): Promise<SteadyClock> {
  return { boot: await bootId(), seconds: () => Number(process.hrtime.bigint() / 1_000_000n) / 1_000 }
}

/** Returns what is said in the servers' log where the users' file cannot be read any longer, or the audit log not be written. */
export function accessFault(error: unknown): object {
  const { message, item, next } =
    error instanceof AirgapError ? error : ({ message: String(error) } as AirgapError)
  return { access: message, item, next }
}
