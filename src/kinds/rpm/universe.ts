import type { RpmCandidate, RpmRelation } from './candidate.ts'
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

export function makeUniverse(candidates: readonly RpmCandidate[], options: UniverseOptions): Universe {
  const architectures = compatibleArchitectures(options.architecture)
  const packages = [
    ...options.installed,
    ...candidates.filter(one => architectures.includes(one.architecture)),
  ]
  const ids = new Map(packages.map((one, i) => [one, i + 1]))
  const byName = new Map<string, Id[]>()
  const byProvides = new Map<string, Id[]>()
  const add = (map: Map<string, Id[]>, key: string, id: Id) => {
    const list = map.get(key)
    if (!list) map.set(key, [id])
    else if (list[list.length - 1] !== id) list.push(id)
  }
  for (const [i, one] of packages.entries()) {
    add(byName, one.name, i + 1)
    // libsolv adds it where a package does not provide its own name
    add(byProvides, one.name, i + 1)
    for (const { name } of one.provides) add(byProvides, name, i + 1)
  }
  const unknownFiles = new Set<string>()
  const known = new Map<string, readonly Id[]>()
  const parsed = new Map<string, RichDependency>()
  let byFile: Map<string, Id[]> | undefined
  const filesOf = (path: string): readonly Id[] => {
    if (!byFile) {
      byFile = new Map()
      for (const [i, one] of packages.entries()) for (const file of one.files) add(byFile, file, i + 1)
    }
    const own = byFile.get(path) ?? []
    const listed = options.filelists?.get(path)
    if (listed) return [...own, ...listed.flatMap(one => ids.get(one) ?? [])]
    if (!isPrimaryFile(path)) unknownFiles.add(path)
    return own
  }
  const simple = (relation: RpmRelation): readonly Id[] => {
    const key = keyOf(relation)
    const found = known.get(key)
    if (found) return found
    let list: readonly Id[] = byProvides.get(relation.name) ?? []
    if (relation.flags !== undefined) list = list.filter(id => provides(packages[id - 1]!, relation))
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
    count: packages.length,
    installedEnd: options.installed.length,
    candidate: id => packages[id - 1]!,
    hidden: id => (id <= options.installed.length ? undefined : options.hidden?.(packages[id - 1]!)),
    named: name => byName.get(name) ?? [],
    names: () => byName.keys(),
    providers,
    rich,
    unknownFiles,
    priority: id =>
      id <= options.installed.length ? 0 : (options.priorities[packages[id - 1]!.repository] ?? 99),
    architectureScore(id) {
      const at = architectures.indexOf(packages[id - 1]!.architecture)
      return at + 1
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
