import { defined } from '../core/defined.ts'
import { AirgapError } from '../core/errors.ts'
import { redactText } from '../core/redact.ts'
import type { Reference } from '../core/reference.ts'
import { withoutTrailing } from '../core/trim.ts'

/**
 * Remapped sources, for a whole build. `from` is a registry host (`docker.io`), a `host/repository-prefix` (`docker.io/bitnami`) or a
 * URL prefix (`https://files.example/pub/`). `to` lists mirrors in order: `mirror.example/dockerhub`,
 * `http://127.0.0.1:5000/docker.io`. Registries use https unless `http://` is given. The longest matching `from` applies; the original
 * source is tried only if `to` lists it.
 */
export type SourceMap = readonly SourceRule[]

interface SourceRule {
  from: string
  to: string[]
}

/** Where requests for a repository go. */
export interface Endpoint {
  /** scheme, host and port, without a slash at the end: `https://registry-1.docker.io` */
  baseUrl: string
  /** path of the repository there */
  repository: string
  /** registry host for which credentials are looked up: `docker.io`, `mirror.example:5000` */
  host: string
  /** `host/repository`, for messages */
  name: string
}

const dockerHubNames = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

/** Returns the endpoints of a repository in the order in which to try them. Throws USAGE for an invalid mirror. */
export function registryEndpoints(map: SourceMap, name: Pick<Reference, 'host' | 'repository'>): Endpoint[] {
  const host = canonicalHost(name.host)
  const full = `${host}/${name.repository}`
  let best: { rule: SourceRule; length: number } | undefined
  for (const rule of map) {
    if (isUrl(rule.from)) continue
    const from = canonicalName(trimSlash(rule.from))
    if (full !== from && !full.startsWith(`${from}/`)) continue
    if (best === undefined || from.length > best.length) best = { rule, length: from.length }
  }
  if (best === undefined) return [endpointOf({ scheme: 'https', host, repository: name.repository })]
  const rest = full.slice(best.length + 1)
  return best.rule.to.map(to => {
    const place = parsePlace(to)
    const repository = [place.path, rest].filter(Boolean).join('/')
    if (repository === '') throw invalid(to, 'names no repository')
    return endpointOf({ scheme: place.scheme ?? 'https', host: canonicalHost(place.host), repository })
  })
}

/** Returns the URLs for a URL in the order in which to try them. Throws USAGE for an invalid mirror. */
export function mirrorsOf(map: SourceMap, url: string): string[] {
  const best = ruleFor(map, url)
  if (best === undefined) return [url]
  const { from } = best
  const rest = url.slice(from.length).replace(/^\/+/, '')
  return best.to.map(to => {
    const place = parsePlace(to)
    const base = `${place.scheme ?? 'https'}://${place.host}${place.path ? `/${place.path}` : ''}`
    // a query or fragment belongs to the last part of the path: no slash goes before it
    return rest === '' || /^[?#]/.test(rest) ? `${base}${rest}` : `${base}/${rest}`
  })
}

/** Whether a rule applies to a URL, also one that leaves it as it is. */
export function isRemapped(map: SourceMap, url: string): boolean {
  return ruleFor(map, url) !== undefined
}

function ruleFor(map: SourceMap, url: string): SourceRule | undefined {
  let best: SourceRule | undefined
  for (const rule of map) {
    if (!isUrl(rule.from) || !underPrefix(url, rule.from)) continue
    if (best === undefined || rule.from.length > best.from.length) best = rule
  }
  return best
}

/**
 * Checks a rule before anything is fetched: one that applies to a single item would otherwise fail in the middle of a run. Throws
 * USAGE; the message shows no password.
 */
export function checkSourceRule({ from, to }: SourceRule): void {
  for (const text of [from, ...to]) {
    const place = parsePlace(text)
    if (/[?#]/.test(place.path)) throw invalid(text, 'must not have a query or a fragment')
    // `https://user:12/34@host`: a password with a slash looks like a host with a port
    if (/:\d+$/.test(place.host) && place.path.includes('@')) throw invalid(text, 'must not have a password')
    if (
      /[\s\\]/.test(place.path) ||
      !URL.canParse(`${place.scheme ?? 'https'}://${place.host}/${place.path}`)
    )
      throw invalid(text, 'is not an address')
  }
}

/** A prefix matches whole parts of a path: `https://a.example/x` does not cover `https://a.example/xy`. */
function underPrefix(url: string, prefix: string): boolean {
  if (!url.startsWith(prefix)) return false
  return prefix.endsWith('/') || url.length === prefix.length || /^[/?#]/.test(url.slice(prefix.length))
}

function endpointOf(place: { scheme: string; host: string; repository: string }): Endpoint {
  const wire = place.host === 'docker.io' ? 'registry-1.docker.io' : place.host
  const repository =
    place.host === 'docker.io' && !place.repository.includes('/')
      ? `library/${place.repository}`
      : place.repository
  return {
    baseUrl: `${place.scheme}://${wire}`,
    repository,
    host: place.host,
    name: `${place.host}/${repository}`,
  }
}

function parsePlace(text: string): { scheme?: 'http' | 'https'; host: string; path: string } {
  const match = /^(?:(https?):\/\/)?((?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?)(?:\/(.*))?$/.exec(
    text,
  )
  if (match === null) throw invalid(text, 'must be a host with an optional path, or an http or https URL')
  const [, scheme, host, path = ''] = match
  return defined({ scheme: scheme as 'http' | 'https' | undefined, host: host!, path: trimSlash(path) })
}

function invalid(text: string, why: string): AirgapError {
  return new AirgapError('USAGE', `a remapped source ${why}`, {
    item: redactText(text).slice(0, 300),
    likely: 'a typing mistake, a password in the address, or a scheme other than http and https',
    next: 'write it as mirror.example/path, or with a scheme: http://127.0.0.1:5000/docker.io',
  })
}

function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text)
}

function canonicalHost(host: string): string {
  return dockerHubNames.has(host) ? 'docker.io' : host
}

function canonicalName(name: string): string {
  const slash = name.indexOf('/')
  return slash < 0 ? canonicalHost(name) : `${canonicalHost(name.slice(0, slash))}${name.slice(slash)}`
}

function trimSlash(text: string): string {
  return withoutTrailing(text.replace(/^\/+/, ''), '/')
}
