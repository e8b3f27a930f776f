import { compareText } from '../core/canonical-json.ts'
import { AirgapError } from '../core/errors.ts'
import { isRepository, type Reference } from '../core/reference.ts'

/** Where content comes from: registry host and repository path there. */
export type Upstream = Pick<Reference, 'host' | 'repository'>

/** Repository path on the site → upstream host that answers there, where two upstreams collide. */
export type Collisions = Readonly<Record<string, string>>

/** Site names → what they answer with. `T` is what a repository holds; names know nothing of it. */
export interface NameTable<T> {
  /** All names with what answers there, sorted by name. */
  entries(): [string, T][]
  /**
   * What answers at `/v2/<name>`, with the `ns` of a containerd mirror request where it was sent: then only that upstream,
   * never another one that has the same path.
   */
  find(name: string, ns?: string): T | undefined
}

/** One repository with all names it claims on the site. */
export interface Claim<T> {
  upstream: Upstream
  value: T
}

/**
 * Names on the site (DESIGN.md), pure. An upstream `host/path` answers under `path` (host stripped) and `host/path`
 * (host kept); `docker.io/library/x` also as `x` and `docker.io/x`. A host with a port cannot be part of a repository
 * name (distribution reference grammar): it is found by its stripped name and by `ns`.
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
 * Gives every upstream its names. Throws NAME_COLLISION where two upstreams get the same one and `collisions` does not say
 * which of them wins. Claims of one upstream must have been merged into one before.
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

/** Docker Hub is asked for under several hosts. */
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
  // one host may claim a name twice (its own `a/b`, and `host/a/b` stripped): the spelled out one is meant
  const best = chosen.find(({ kept }) => kept) ?? chosen[0]
  if (best !== undefined) return best.claim
  const upstreams = list.map(({ claim }) => spell(claim.upstream)).sort(compareText)
  throw new AirgapError('NAME_COLLISION', `${upstreams.join(' and ')} have the same name on the site`, {
    item: name,
    likely:
      wanted === undefined
        ? 'the host is left out on the site, and both have this path'
        : `collisions gives "${wanted.slice(0, 200)}", which is none of them`,
    next: `say which one wins: collisions: { ${name}: ${list[0]?.claim.upstream.host} }; the other one still answers with its host`,
  })
}

function spell({ host, repository }: Upstream): string {
  return host === '' ? `the chart ${repository}` : `${host}/${repository}`
}

/** Throws NAME_COLLISION as the site would; for the builder. Several references of one repository are fine. */
export function checkCollisions(references: Iterable<Upstream>, collisions: Collisions): void {
  const upstreams = new Map<string, Claim<undefined>>()
  for (const { host, repository } of references)
    upstreams.set(upstreamKey({ host, repository }), { upstream: { host, repository }, value: undefined })
  nameTable([...upstreams.values()], collisions)
}
