import type { ReadableStore } from '../content/store.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import { annotationKeys } from '../core/media-types.ts'
import { isRepository } from '../core/reference.ts'
import { kinds } from '../kinds/index.ts'
import type { RegistryMount, RegistryName } from '../kinds/mount.ts'
import { type Claim, type Collisions, nameTable, siteNames } from './names.ts'
import { SiteRepository } from './repository.ts'

/** The repositories of the site's registry; what serve's registry is given. */
export interface SiteImages {
  /** Yields the canonical names: each repository once. */
  names(): Iterable<string>
  find(name: string, ns?: string): SiteRepository | undefined
  /** Returns the one name of a repository, whichever of its names is used, also of one that no bundle has; undefined: none. */
  canonical(name: string, ns?: string): string | undefined
  /** upstream registry hosts of everything that is served, sorted: each gets a mirror */
  hosts: readonly string[]
}

/** An artifact of index.json that the registry serves. */
export interface NamedRoot extends RegistryName {
  root: Descriptor
  /** name of its kind */
  kind: string
  /** as written in ref.name */
  name: string
  /** position of its bundle: of two with one name, the one of the later bundle wins */
  bundle?: number
}

/** Returns the artifacts that the registry serves, with their names. Throws BUNDLE_CORRUPT for an invalid name. */
export function namedRoots(roots: readonly Descriptor[]): NamedRoot[] {
  return roots.flatMap((root): NamedRoot[] => {
    const kind = kinds.find(({ name }) => name === root.annotations?.[annotationKeys.kind])
    const name = root.annotations?.[annotationKeys.refName]
    if (name === undefined || kind === undefined || kind.mounts.registry === 'none') return []
    return [{ root, kind: kind.name, name, ...nameOf(kind.mounts.registry, name) }]
  })
}

function nameOf(mount: RegistryMount, name: string): RegistryName {
  try {
    return mount.nameOf(name)
  } catch (error) {
    throw new AirgapError('BUNDLE_CORRUPT', 'the name of an artifact is not a valid reference', {
      item: name.slice(0, 300),
      likely: 'the bundle was made by another tool or version',
      next: 'serve it with the version that made it',
      cause: error,
    })
  }
}

/** Where all charts answer by their own name, wherever they came from. */
const chartsFolder = 'charts'

/**
 * Names and repositories of everything that the registry serves. `selves` are host:port under which this registry is known:
 * containerd sends such a name as `ns` too. Throws NAME_COLLISION.
 */
export function siteImages(
  store: ReadableStore,
  options: { named: readonly NamedRoot[]; collisions: Collisions; selves?: readonly string[] },
): SiteImages {
  const { named, collisions, selves = [] } = options
  const upstreams = new Map<string, Claim<SiteRepository> & { charts: Set<string> | undefined }>()
  const charts = new Map<string, SiteRepository>()
  for (const { root, reference, chart, name, bundle = 0 } of named) {
    if (chart !== undefined) {
      const repository = charts.get(chart.name) ?? new SiteRepository(store)
      charts.set(chart.name, repository)
      repository.add(root, { tag: chart.tag, name: `${chartsFolder}/${chart.name}:${chart.tag}`, bundle })
    }
    if (reference === undefined) continue
    const key = `${reference.host}/${reference.repository}`
    const claim = upstreams.get(key) ?? {
      upstream: { host: reference.host, repository: reference.repository },
      value: new SiteRepository(store),
      charts: new Set<string>(),
    }
    upstreams.set(key, claim)
    claim.value.add(root, { tag: reference.tag, name, bundle })
    // an image among them makes it more than a folder of charts
    if (chart === undefined) claim.charts = undefined
    else claim.charts?.add(chart.name)
  }
  const claims: Claim<SiteRepository>[] = [...charts].map(([name, value]) => ({
    upstream: { host: '', repository: `${chartsFolder}/${name}` },
    value,
  }))
  const hidden = new Map<string, SiteRepository>()
  for (const claim of upstreams.values()) {
    const { host, repository } = claim.upstream
    // oci://HOST/charts/NAME is what `charts/NAME` answers with anyway: the same charts, no collision
    const same = claim.charts?.size === 1 && charts.has(repository.slice(chartsFolder.length + 1))
    if (same && repository.startsWith(`${chartsFolder}/`)) hidden.set(`${host}/${repository}`, claim.value)
    else claims.push(claim)
  }
  const table = nameTable(claims, collisions)
  const entries = new Map([...hidden, ...table.entries()])
  const known = new Set(selves.map(self => self.toLowerCase()))
  const canonicalNames = canonicalNamesOf(upstreams.values(), entries)
  const isOwn = (ns: string | undefined) => ns === undefined || known.has(ns.toLowerCase())
  const find = (name: string, ns?: string) =>
    ns === undefined || isOwn(ns)
      ? entries.get(name)
      : (table.find(name, ns) ?? hidden.get(`${ns.toLowerCase()}/${name}`))
  return {
    names: () => new Set([...entries].map(([name, value]) => canonicalNames.get(value) ?? name)),
    find,
    canonical(name, ns) {
      const found = find(name, ns)
      if (found !== undefined)
        return canonicalNames.get(found) ?? (entries.get(name) === found ? name : undefined)
      if (isOwn(ns)) return name
      const kept = `${ns}/${name}`.toLowerCase()
      return isRepository(kept) ? kept : undefined
    },
    hosts: [...new Set([...upstreams.values()].map(claim => claim.upstream.host))].sort(),
  }
}

/** The canonical name of an upstream's repository: its path, where that leads to it, else the path with the host. */
function canonicalNamesOf(
  claims: Iterable<Claim<SiteRepository>>,
  entries: ReadonlyMap<string, SiteRepository>,
): Map<SiteRepository, string> {
  const names = new Map<SiteRepository, string>()
  for (const { upstream, value } of claims) {
    const { stripped, kept } = siteNames(upstream)
    const name = [...stripped, ...kept].find(one => entries.get(one) === value)
    if (name !== undefined) names.set(value, name)
  }
  return names
}
