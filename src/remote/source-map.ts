import { AirgapError } from '../core/errors.ts'
import type { Reference } from '../core/reference.ts'

/**
 * Remapped sources, for a whole build. `from` is a registry host (`docker.io`), a `host/repository-prefix`
 * (`docker.io/bitnami`) or a URL prefix (`https://files.example/pub/`). `to` are the places tried in order:
 * `mirror.example/dockerhub`, `http://127.0.0.1:5000/docker.io`. Registries are https unless `http://` is written.
 * The longest `from` that matches wins; the original place is only tried where `to` lists it.
 */
export type SourceMap = readonly SourceRule[]

interface SourceRule {
  from: string
  to: string[]
}

/** Where a repository is to be asked for. */
export interface Endpoint {
  /** scheme, host and port, without a slash at the end: `https://registry-1.docker.io` */
  baseUrl: string
  /** repository path at that place */
  repository: string
  /** registry host by which credentials are looked up: `docker.io`, `mirror.example:5000` */
  host: string
  /** `host/repository`, for messages */
  name: string
}

const dockerHubNames = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

/** Endpoints of a repository, the first to be tried first. */
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

/** Places of a URL, the first to be tried first. Throws USAGE where a mirror is no http(s) URL. */
export function mirrorsOf(map: SourceMap, url: string): string[] {
  let best: SourceRule | undefined
  for (const rule of map) {
    if (!isUrl(rule.from) || !underPrefix(url, rule.from)) continue
    if (best === undefined || rule.from.length > best.from.length) best = rule
  }
  if (best === undefined) return [url]
  const { from } = best
  const rest = url.slice(from.length).replace(/^\/+/, '')
  return best.to.map(to => {
    const place = parsePlace(to)
    const base = `${place.scheme ?? 'https'}://${place.host}${place.path ? `/${place.path}` : ''}`
    // a query or fragment of the original belongs to the last part of the path, not behind a new slash
    return rest === '' || /^[?#]/.test(rest) ? `${base}${rest}` : `${base}/${rest}`
  })
}

/** A prefix ends where a part of the path ends: `https://a.example/x` does not cover `https://a.example/xy`. */
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
  if (match === null) throw invalid(text, 'is no place: a host with an optional path, or an http(s) URL')
  const [, scheme, host, path = ''] = match
  return { ...(scheme ? { scheme: scheme as 'http' | 'https' } : {}), host: host!, path: trimSlash(path) }
}

function invalid(text: string, why: string): AirgapError {
  return new AirgapError('USAGE', `a remapped source ${why}`, {
    item: text.slice(0, 300),
    next: 'write it as mirror.example/path, or with its scheme: http://127.0.0.1:5000/docker.io',
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
  return text.replace(/^\/+|\/+$/g, '')
}
