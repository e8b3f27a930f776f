import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { isRepository, type Reference } from '../core/reference.ts'

/** Where content comes from: a registry host and a repository path there. */
export type Upstream = Pick<Reference, 'host' | 'repository'>

/** Repository path on the site → the upstream host that gets it, where two upstreams have the same path. */
export type Collisions = Readonly<Record<string, string>>

/** Names on the site → what they answer with, a `T`. */
export interface NameTable<T> {
  /** Returns all names with what answers there, sorted by name. */
  entries(): [string, T][]
  /**
   * Returns what answers at `/v2/<name>`. With the `ns` that containerd sends to a mirror, only that upstream answers, never
   * another one with the same path.
   */
  find(name: string, ns?: string): T | undefined
}

/** One repository of an upstream, with what it answers with. */
export interface Claim<T> {
  upstream: Upstream
  value: T
}

/**
 * Returns the names of an upstream repository on the site. `host/path` answers under `path` (host stripped) and `host/path`
 * (host kept); `docker.io/library/x` also as `x` and `docker.io/x`. A host with a port cannot be part of a repository
 * name (distribution reference grammar): it is found by its stripped name and by `ns`. Pure.
 */
export function siteNames({ host, repository }: Upstream): { kept: string[]; stripped: string[] } {
  const short = shortName({ host, repository })
  const kept = [`${host}/${repository}`, ...(short === undefined ? [] : [`${host}/${short}`])]
  return {
    kept: kept.map(name => name.toLowerCase()).filter(isRepository),
    stripped: [repository, ...(short === undefined ? [] : [short])],
  }
}

function shortName({ host, repository }: Upstream): string | undefined {
  return host === 'docker.io' ? /^library\/([^/]+)$/.exec(repository)?.[1] : undefined
}

/**
 * Assigns names to every upstream. Throws NAME_COLLISION if two upstreams would get the same name and `collisions` does not
 * choose one. There must be one claim for each upstream.
 */
export function nameTable<T>(claims: readonly Claim<T>[], collisions: Collisions): NameTable<T> {
  const claimants = new Map<string, { claim: Claim<T>; kept: boolean }[]>()
  const byUpstream = new Map<string, T>()
  for (const claim of claims) {
    const { kept, stripped } = siteNames(claim.upstream)
    byUpstream.set(upstreamKey(claim.upstream), claim.value)
    for (const name of new Set([...kept, ...stripped])) {
      const list = claimants.get(name)
      const entry = { claim, kept: kept.includes(name) }
      if (list === undefined) claimants.set(name, [entry])
      else list.push(entry)
    }
  }
  const names = new Map<string, T>()
  for (const [name, list] of claimants) names.set(name, winner(name, { list, collisions }).value)
  return {
    entries: () => [...names].sort(([a], [b]) => compareText(a, b)),
    find(name, ns) {
      if (ns === undefined) return names.get(name)
      const host = normalHost(ns)
      return (
        byUpstream.get(upstreamKey({ host, repository: name })) ??
        (host === 'docker.io' && !name.includes('/')
          ? byUpstream.get(upstreamKey({ host, repository: `library/${name}` }))
          : undefined)
      )
    },
  }
}

/** Docker Hub has several hosts. */
function normalHost(host: string): string {
  const lower = host.toLowerCase()
  return lower === 'index.docker.io' || lower === 'registry-1.docker.io' ? 'docker.io' : lower
}

function upstreamKey({ host, repository }: Upstream): string {
  return `${host.toLowerCase()}/${repository}`
}

function winner<T>(
  name: string,
  { list, collisions }: { list: { claim: Claim<T>; kept: boolean }[]; collisions: Collisions },
): Claim<T> {
  const [first, second] = list
  if (first !== undefined && second === undefined) return first.claim
  const wanted = Object.hasOwn(collisions, name) ? collisions[name] : undefined
  const chosen = list.filter(({ claim }) => claim.upstream.host === wanted)
  // one host may claim a name twice (its own `a/b`, and `host/a/b` stripped): the one with its host wins
  const best = chosen.find(({ kept }) => kept) ?? chosen[0]
  if (best !== undefined) return best.claim
  const upstreams = list.map(({ claim }) => spell(claim.upstream)).sort(compareText)
  throw new AirgapError('NAME_COLLISION', `${upstreams.join(' and ')} have the same name on the site`, {
    item: name,
    likely:
      wanted === undefined
        ? 'names on the site have no host, and both have this path'
        : `collisions names "${wanted.slice(0, 200)}", which is neither of them`,
    next: `choose the one that wins in the manifest, for example collisions: { ${name}: ${list[0]?.claim.upstream.host} }; the other one still answers under its name with the host`,
  })
}

function spell({ host, repository }: Upstream): string {
  return host === '' ? `the chart ${repository}` : `${host}/${repository}`
}

/** Throws NAME_COLLISION where the site would, so that a build can. Several references of one repository are fine. */
export function checkCollisions(references: Iterable<Upstream>, collisions: Collisions): void {
  const upstreams = new Map<string, Claim<undefined>>()
  for (const { host, repository } of references)
    upstreams.set(upstreamKey({ host, repository }), { upstream: { host, repository }, value: undefined })
  nameTable([...upstreams.values()], collisions)
}
