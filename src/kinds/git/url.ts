import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { textBefore, withoutTrailing } from '../../core/trim.ts'

/** Addresses that git may fetch from, and addresses of submodules. */

const forms =
  'https://host/path, ssh://git@host/path, git@host:path, or file:///path for a repository of this host'

/**
 * Checks an address before it reaches the git program. Only https, http, ssh, git and file are known: `ext::COMMAND` and other remote
 * helpers run programs, and a text that begins with a dash is an option to git or to ssh (CVE-2017-1000117).
 * `where` is the place that names the address, for the message. Throws `code`; the message shows no password.
 */
export function checkGitUrl(
  url: string,
  options: { where: string; code: 'MANIFEST_INVALID' | 'UPSTREAM_INVALID'; file: 'allowed' | 'refused' },
): string {
  const refuse = (what: string, next: string) =>
    new AirgapError(options.code, what, {
      item: `${options.where}: ${shownUrl(url)}`,
      ...defined({
        likely: options.code === 'UPSTREAM_INVALID' ? 'a broken or malicious repository' : undefined,
      }),
      next,
    })
  if (/[\u0000-\u0020\u007f\\]/.test(url) || url.startsWith('-') || url.length > 2048)
    throw refuse('the text is not an address that git can use', `write it as ${forms}`)
  const scp = scpParts(url)
  if (scp !== undefined) {
    if (/^-/.test(scp.host) || /^-/.test(scp.path))
      throw refuse('a part of the address begins with a dash', 'correct the address')
    return url
  }
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const protocol = parsed?.protocol.slice(0, -1)
  if (parsed === undefined || protocol === undefined || !schemes.includes(protocol))
    throw refuse('the text is not an address that git can use', `write it as ${forms}`)
  if (protocol === 'file' && (options.file === 'refused' || parsed.hostname !== ''))
    throw refuse(
      'the address leads to a file system',
      options.code === 'UPSTREAM_INVALID'
        ? 'do not follow the submodules of this repository'
        : `write it as ${forms}`,
    )
  if (parsed.password !== '' || (parsed.username !== '' && /^https?$/.test(protocol)))
    throw refuse(
      'the address contains a user name or a password',
      'remove it: git takes credentials from its credential helpers (gitcredentials(7)) or from the ssh agent',
    )
  if (parsed.search !== '' || parsed.hash !== '')
    throw refuse('the address has a query or a fragment', 'remove it; name the version with `ref:`')
  if (/^-/.test(parsed.hostname) || /^-/.test(parsed.username) || /^\/-/.test(parsed.pathname))
    throw refuse('a part of the address begins with a dash', 'correct the address')
  if (/^\/*$/.test(parsed.pathname)) throw refuse('the address has no path', `write it as ${forms}`)
  return url
}

const schemes: readonly string[] = ['https', 'http', 'ssh', 'git', 'file']

/** `git@host:path`, as scp writes it; undefined for any other form. */
function scpParts(url: string): { host: string; path: string } | undefined {
  const [, host, path] =
    /^(?:[A-Za-z0-9._-]+@)?([A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):(?!:|\/\/)(.+)$/.exec(url) ?? []
  return host === undefined || path === undefined ? undefined : { host, path }
}

/** The address without user, password and query, for messages. */
export function shownUrl(url: string): string {
  const plain = url.replace(/:\/\/[^/@]*@/, '://')
  const base = textBefore(plain, '?#')
  return (base === plain ? plain : `${base}?…`).replace(/[\u0000-\u001f\u007f]/g, '\ufffd').slice(0, 300)
}

/** `host/path`, as registries are named; `localhost/path` for a file of this host. */
export function placeOf(url: string): string {
  const scp = scpParts(url)
  if (scp !== undefined) return `${scp.host}/${scp.path.replace(/^\/+/, '')}`
  const { hostname, pathname } = new URL(url)
  return `${hostname || 'localhost'}${pathname}`
}

/**
 * Resolves the address of a submodule as git does (git-submodule(1), "add"): `./` and `../` are relative to the address of the
 * repository, not to its folder. undefined where it goes up above the host.
 */
export function resolveSubmoduleUrl(repository: string, url: string): string | undefined {
  if (!/^\.\.?\//.test(url)) return url
  const [, head = '', path = ''] =
    /^([a-z]+:\/\/[^/]*\/|[^/:]*:)?(.*)$/.exec(withoutTrailing(repository, '/')) ?? []
  const parts = relativeTo(
    path.split('/').filter(part => part !== ''),
    url,
  )
  return parts === undefined ? undefined : `${head}${head === '' ? '/' : ''}${parts.join('/')}`
}

/** Applies `./` and `../` of a relative address to the parts of a path; undefined where it goes up above the first. */
export function relativeTo(base: readonly string[], url: string): string[] | undefined {
  const parts = [...base]
  for (const part of url.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) return undefined
  }
  return parts.length === 0 ? undefined : parts
}
