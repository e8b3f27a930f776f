import { AirgapError } from '../../core/errors.ts'
import { globMatcher, isGlob } from '../../core/glob.ts'
import { nearNames } from '../../core/near-names.ts'
import type { PackageGroup, RpmCandidate } from './candidate.ts'
import { parseEvr } from './rich.ts'
import { compareEvr } from './rpm-version.ts'
import { type Id, matchesNevr, type Universe } from './universe.ts'

/** One requested thing: any of these packages satisfies it. */
export interface Job {
  /** as the manifest writes it */
  requested: string
  ids: Id[]
  /** dropped where it cannot be installed: a default package of a group */
  optional?: true
  /** a group's conditional package: installed only with one of these */
  when?: readonly Id[]
}

export interface RequestContext {
  /** `file:line:column` */
  at: string
  groups: readonly PackageGroup[]
}

/** Returns what dnf would install for one argument: `name`, `name-version-release`, `name.arch`, `@group`, a path, a capability. */
export function jobsOf(universe: Universe, spec: string, context: RequestContext): Job[] {
  if (spec.startsWith('@')) return groupJobs(universe, spec, context)
  const found = packagesNamed(universe, spec)
  if (found.length > 0) return found.map(ids => ({ requested: spec, ids }))
  throw notFound(universe, spec, context.at)
}

/** The packages that an argument other than a group means, one list for each name; none where there are none. */
export function packagesNamed(universe: Universe, spec: string): Id[][] {
  const isOpen = (id: Id) => universe.hidden(id) === undefined
  // dnf searches among visible packages; where all are hidden the solver reports why
  for (const isMeant of [isOpen, () => true]) {
    const found = packagesOf(universe, { spec, isMeant })
    if (found.length > 0) return found
  }
  return []
}

/** dnf's subject forms in its order, then capabilities, then files. A name with `*` gives one list for each name. */
function packagesOf(
  universe: Universe,
  { spec, isMeant }: { spec: string; isMeant: (id: Id) => boolean },
): Id[][] {
  for (const form of [nevra, nameArchitecture, name, nevr, nameVersion]) {
    const found = form(universe, spec)
    const ids = found.ids.filter(isMeant)
    if (ids.length === 0) continue
    const all = found.justName ? withObsoleters(universe, ids).filter(isMeant) : ids
    if (!isGlob(spec)) return [all]
    return [...groupBy(all, id => universe.candidate(id).name).values()]
  }
  const evr = /^(\S+)\s+(==?|<|<=|>|>=)\s+(\S+)$/.exec(spec)
  const flags = { '=': 'EQ', '==': 'EQ', '<': 'LT', '<=': 'LE', '>': 'GT', '>=': 'GE' } as const
  const relation = evr
    ? { name: evr[1]!, flags: flags[evr[2] as keyof typeof flags], ...parseEvr(evr[3]!) }
    : { name: spec }
  const providers = universe.providers(relation).filter(isMeant)
  return providers.length > 0 ? [providers] : []
}

type Found = { ids: Id[]; justName?: true }

function name(universe: Universe, spec: string): Found {
  return { ids: named(universe, spec), justName: true }
}

function named(universe: Universe, pattern: string): Id[] {
  if (!isGlob(pattern)) return [...universe.named(pattern)]
  const matches = globMatcher(pattern)
  return [...universe.names()].filter(matches).flatMap(one => [...universe.named(one)])
}

function nameArchitecture(universe: Universe, spec: string): Found {
  const { rest, architecture } = splitArchitecture(spec)
  if (architecture === undefined) return { ids: [] }
  return { ids: named(universe, rest).filter(id => universe.candidate(id).architecture === architecture) }
}

function nevra(universe: Universe, spec: string): Found {
  const { rest, architecture } = splitArchitecture(spec)
  if (architecture === undefined) return { ids: [] }
  return { ids: nevr(universe, rest).ids.filter(id => universe.candidate(id).architecture === architecture) }
}

function nevr(universe: Universe, spec: string): Found {
  const dash = spec.lastIndexOf('-')
  const second = spec.lastIndexOf('-', dash - 1)
  if (second <= 0) return { ids: [] }
  const { epoch, version, release } = parseEvr(spec.slice(second + 1))
  const ids = named(universe, spec.slice(0, second)).filter(id => {
    const one = universe.candidate(id)
    return (epoch === undefined || epoch === one.epoch) && version === one.version && release === one.release
  })
  return { ids }
}

function nameVersion(universe: Universe, spec: string): Found {
  const dash = spec.lastIndexOf('-')
  if (dash <= 0) return { ids: [] }
  const { epoch, version } = parseEvr(spec.slice(dash + 1))
  const ids = named(universe, spec.slice(0, dash)).filter(id => {
    const one = universe.candidate(id)
    return (epoch === undefined || epoch === one.epoch) && version === one.version
  })
  return { ids }
}

function splitArchitecture(spec: string): { rest: string; architecture?: string } {
  const dot = spec.lastIndexOf('.')
  return dot <= 0 ? { rest: spec } : { rest: spec.slice(0, dot), architecture: spec.slice(dot + 1) }
}

/** Adds the packages that obsolete the given ones: dnf lets the solver choose between them. */
export function withObsoleters(universe: Universe, ids: readonly Id[]): Id[] {
  const wanted = ids.map(universe.candidate)
  const names = new Set(wanted.map(one => one.name))
  const all = new Set(ids)
  for (const name of names) {
    for (const id of universe.obsoleting(name)) {
      const meant = universe.candidate(id).obsoletes.filter(relation => relation.name === name)
      if (meant.some(relation => wanted.some(one => matchesNevr(one, relation)))) all.add(id)
    }
  }
  return [...all].sort((a, b) => a - b)
}

/** Groups of comps: mandatory packages are required, default ones may be missing. */
function groupJobs(universe: Universe, spec: string, { groups, at }: RequestContext): Job[] {
  const wanted = spec.slice(1).replace(/^\^/, '')
  const matching = groups.filter(group => group.id === wanted || group.name === wanted)
  if (matching.length === 0) {
    throw new AirgapError('UNRESOLVABLE', `no group ${spec} in the repositories`, {
      item: at,
      likely:
        groups.length === 0
          ? 'none of the repositories has groups (comps)'
          : `available: ${groups
              .map(group => group.id)
              .slice(0, 8)
              .join(', ')}`,
      next: 'correct the name, or list the packages themselves',
    })
  }
  const members = matching.flatMap(group =>
    group.kind === 'group'
      ? [group]
      : groups.filter(one => one.kind === 'group' && group.groups.mandatory.includes(one.id)),
  )
  return members.flatMap(group =>
    group.packages.flatMap((one): Job[] => {
      if (one.type === 'optional') return []
      const ids = universe.named(one.name).filter(id => universe.hidden(id) === undefined)
      // dnf ignores packages of a group that no repository has
      if (ids.length === 0) return []
      const job = { requested: spec, ids: withObsoleters(universe, ids) }
      if (one.type === 'mandatory') return [job]
      if (one.type === 'default') return [{ ...job, optional: true }]
      return [{ ...job, optional: true, when: universe.providers({ name: one.requires ?? '' }) }]
    }),
  )
}

export function groupBy<K, V>(values: Iterable<V>, key: (value: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>()
  for (const value of values) {
    const list = groups.get(key(value))
    if (list) list.push(value)
    else groups.set(key(value), [value])
  }
  return groups
}

function notFound(universe: Universe, spec: string, at: string): AirgapError {
  const versions = /^(.+?)-\d/.exec(spec)?.[1]
  const have = versions === undefined ? [] : universe.named(versions).map(universe.candidate)
  const newest = have
    .sort((a, b) => compareEvr(b, a))
    .slice(0, 4)
    .map(nevraOf)
  const near = nearNames(spec, universe.names(), { sameStart: true })
  return new AirgapError(
    'UNRESOLVABLE',
    `no package ${spec} for ${universe.architecture} in the repositories`,
    {
      item: at,
      likely:
        newest.length > 0
          ? `available: ${newest.join(', ')}`
          : near.length > 0
            ? `did you mean ${near.join(' or ')}?`
            : 'it is in a repository or module stream that the entry does not list, or excludepkgs excludes it',
      next: 'correct the name, or add the repository (repositories:) or the stream (modules:) that has it',
    },
  )
}

/** `name-epoch:version-release.arch`, without an epoch of 0 */
export function nevraOf({ name: own, epoch, version, release, architecture }: RpmCandidate): string {
  return `${own}-${epoch === '0' ? '' : `${epoch}:`}${version}-${release}.${architecture}`
}
