import type { RpmCandidate, RpmRelation } from './candidate.ts'
import { listOf, type PackageList } from './package-list.ts'
import { isRich, parseRich, type RichDependency } from './rich.ts'
import { compareEvr } from './rpm-version.ts'

/** A package by its position, from 1. libsolv's order of rules and choices follows these numbers. */
export type Id = number

export interface UniverseOptions {
  /** per repository, dnf's: smaller wins */
  priorities: number[]
  /** of the machine: `x86_64` */
  architecture: string
  /** installed packages; they come first */
  installed: RpmCandidate[]
  /**
   * Why a package must not be installed. It stays visible, as in libsolv: it counts when the best architecture of a name is
   * decided, and messages can name it.
   */
  hidden?: (candidate: RpmCandidate) => string | undefined
  /** from filelists: path → candidates */
  filelists?: ReadonlyMap<string, readonly RpmCandidate[]>
}

/** All packages that a machine could install, and what they provide. */
export interface Universe {
  readonly architecture: string
  readonly count: number
  /** ids up to this one are installed */
  readonly installedEnd: Id
  candidate(id: Id): RpmCandidate
  /** why it must not be installed */
  hidden(id: Id): string | undefined
  named(name: string): readonly Id[]
  names(): Iterable<string>
  /** packages whose Obsoletes has the name, in ascending order */
  obsoleting(name: string): readonly Id[]
  /** packages that have Supplements, in ascending order */
  supplementing(): ReadonlySet<Id>
  /** providers in ascending order; of a rich dependency the union of its operands */
  providers(relation: RpmRelation): readonly Id[]
  rich(relation: RpmRelation): RichDependency
  /** requested paths that only filelists can resolve */
  readonly unknownFiles: ReadonlySet<string>
  priority(id: Id): number
  /** smaller is better; 0: incompatible; noarch is 1 */
  architectureScore(id: Id): number
}

/** poolarch.c of libsolv: what runs on a machine, best first. */
const runsOn: Record<string, string[]> = {
  x86_64: ['x86_64', 'athlon', 'i686', 'i586', 'i486', 'i386'],
  s390x: ['s390x', 's390'],
}

export function compatibleArchitectures(architecture: string): string[] {
  return ['noarch', ...(Object.hasOwn(runsOn, architecture) ? runsOn[architecture]! : [architecture])]
}

/** createrepo_c lists these in primary.xml; all others are only in filelists.xml. */
export function isPrimaryFile(path: string): boolean {
  return path.startsWith('/etc/') || path === '/usr/lib/sendmail' || path.includes('bin/')
}

/** The packages have the order of the lists. */
export function makeUniverse(lists: readonly PackageList[], options: UniverseOptions): Universe {
  const architectures = compatibleArchitectures(options.architecture)
  const numbered = numberedPackages([listOf(options.installed), ...lists], architectures)
  const { places, idsIn, all } = numbered
  const installedEnd = options.installed.length
  const candidate = (id: Id): RpmCandidate => all[places[2 * id]!]!.candidate(places[2 * id + 1]!)
  const architectureAt = (id: Id) => all[places[2 * id]!]!.architectureAt(places[2 * id + 1]!)
  const unknownFiles = new Set<string>()
  const known = new Map<string, readonly Id[]>()
  const named = new Map<string, readonly Id[]>()
  const parsed = new Map<string, RichDependency>()
  let supplementing: ReadonlySet<Id> | undefined
  const filesOf = (path: string): readonly Id[] => {
    const own = idsIn(list => list.owning(path))
    const listed = options.filelists?.get(path)
    if (listed) return [...own, ...listed.flatMap(numbered.idOf)]
    if (!isPrimaryFile(path)) unknownFiles.add(path)
    return own
  }
  const simple = (relation: RpmRelation): readonly Id[] => {
    const key = keyOf(relation)
    const found = known.get(key)
    if (found) return found
    let list: readonly Id[] = idsIn(one => one.providing(relation.name))
    if (relation.flags !== undefined) list = list.filter(id => provides(candidate(id), relation))
    else if (relation.name.startsWith('/'))
      list = [...new Set([...list, ...filesOf(relation.name)])].sort(ascending)
    known.set(key, list)
    return list
  }
  const rich = (relation: RpmRelation): RichDependency => {
    let dependency = parsed.get(relation.name)
    if (!dependency) parsed.set(relation.name, (dependency = parseRich(relation.name)))
    return dependency
  }
  const providers = (relation: RpmRelation) =>
    isRich(relation) ? providersOfRich(rich(relation), simple) : simple(relation)
  return {
    architecture: options.architecture,
    count: numbered.count,
    installedEnd,
    candidate,
    hidden: id => (id <= installedEnd ? undefined : options.hidden?.(candidate(id))),
    named(name) {
      let ids = named.get(name)
      if (!ids) named.set(name, (ids = idsIn(list => list.named(name))))
      return ids
    },
    names() {
      const names = new Set<string>()
      for (let id = 1; id <= numbered.count; id++)
        names.add(all[places[2 * id]!]!.nameAt(places[2 * id + 1]!))
      return names
    },
    obsoleting: name => idsIn(list => list.obsoleting(name)),
    supplementing: () => (supplementing ??= new Set(idsIn(list => list.supplementing()))),
    providers,
    rich,
    unknownFiles,
    priority: id => (id <= installedEnd ? 0 : (options.priorities[candidate(id).repository] ?? 99)),
    architectureScore: id => architectures.indexOf(architectureAt(id)) + 1,
  }
}

interface NumberedPackages {
  all: readonly PackageList[]
  count: number
  /** by id: position of its list, and its position in the list */
  places: Uint32Array
  /** Returns what the lists find, as ids. */
  idsIn(find: (list: PackageList) => Iterable<number>): Id[]
  /** none for a package of another architecture */
  idOf(candidate: RpmCandidate): Id[]
}

/** Numbers the packages of the first list, and those of the others that have one of the architectures. */
function numberedPackages(all: readonly PackageList[], architectures: readonly string[]): NumberedPackages {
  const runs = new Set(architectures)
  const places = new Uint32Array(2 * (1 + all.reduce((sum, list) => sum + list.length, 0)))
  let count = 0
  const ids = all.map((list, which) => {
    const own = new Uint32Array(list.length)
    for (let at = 0; at < list.length; at++) {
      if (which > 0 && !runs.has(list.architectureAt(at))) continue
      own[at] = ++count
      places[2 * count] = which
      places[2 * count + 1] = at
    }
    return own
  })
  return {
    all,
    count,
    places,
    idsIn(find) {
      const found: Id[] = []
      for (const [which, list] of all.entries()) {
        for (const at of find(list)) {
          const id = ids[which]![at]!
          if (id > 0) found.push(id)
        }
      }
      return found
    },
    idOf(candidate) {
      for (const [which, list] of all.entries()) {
        const at = list.positionOf(candidate)
        if (at >= 0) return ids[which]![at]! > 0 ? [ids[which]![at]!] : []
      }
      return []
    },
  }
}

function ascending(a: number, b: number): number {
  return a - b
}

/** The packages that satisfy a dependency without a condition: `with` and `without` are about one package, `or` about several. */
export function providersOfRich(
  dependency: RichDependency,
  simple: (relation: RpmRelation) => readonly Id[],
): readonly Id[] {
  if (dependency.type === 'simple') return simple(dependency.relation)
  const left = providersOfRich(dependency.left, simple)
  if (dependency.type === 'if' || dependency.type === 'unless') return left
  const right = new Set(providersOfRich(dependency.right, simple))
  if (dependency.type === 'with') return left.filter(id => right.has(id))
  if (dependency.type === 'without') return left.filter(id => !right.has(id))
  return [...new Set([...left, ...right])].sort(ascending)
}

function keyOf({ name, flags, epoch, version, release }: RpmRelation): string {
  return flags === undefined ? name : `${name} ${flags} ${epoch ?? ''}:${version ?? ''}-${release ?? ''}`
}

const less = 1
const equal = 2
const greater = 4
const bits = { LT: less, LE: less | equal, EQ: equal, GE: greater | equal, GT: greater } as const

function provides(candidate: RpmCandidate, wanted: RpmRelation): boolean {
  for (const one of candidate.provides) if (one.name === wanted.name && overlaps(one, wanted)) return true
  return (
    candidate.name === wanted.name &&
    overlaps({ ...evrOf(candidate), name: candidate.name, flags: 'EQ' }, wanted)
  )
}

/** Whether the package itself matches, not its Provides: Obsoletes match names only. */
export function matchesNevr(candidate: RpmCandidate, wanted: RpmRelation): boolean {
  return (
    candidate.name === wanted.name &&
    overlaps({ ...evrOf(candidate), name: candidate.name, flags: 'EQ' }, wanted)
  )
}

export function evrOf({ epoch, version, release }: RpmCandidate): {
  epoch: string
  version: string
  release: string
} {
  return { epoch, version, release }
}

/** pool_intersect_evrs: whether two version ranges overlap. */
export function overlaps(provided: RpmRelation, wanted: RpmRelation): boolean {
  // an unversioned Provides matches every version
  if (provided.flags === undefined || wanted.flags === undefined) return true
  const p = bits[provided.flags]
  const w = bits[wanted.flags]
  if ((p & w & (less | greater)) !== 0) return true
  const order = compareEvr(
    { epoch: provided.epoch ?? '0', version: provided.version ?? '', release: '' },
    { epoch: wanted.epoch ?? '0', version: wanted.version ?? '', release: '' },
  )
  const byRelease =
    order !== 0 || provided.release === undefined || wanted.release === undefined
      ? order
      : compareEvr(
          { epoch: '0', version: '', release: provided.release },
          { epoch: '0', version: '', release: wanted.release },
        )
  if (byRelease < 0) return (w & less) !== 0 || (p & greater) !== 0
  if (byRelease > 0) return (w & greater) !== 0 || (p & less) !== 0
  // a provided `= 1` matches `> 1-2` and the other way round: a missing release may be any
  if (provided.release === undefined && wanted.release !== undefined) return (p & equal) !== 0
  if (provided.release !== undefined && wanted.release === undefined) return (w & equal) !== 0
  return (p & w & equal) !== 0
}
