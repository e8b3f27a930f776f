import type { Candidate } from './candidate.ts'
import { NameOrder } from './name-order.ts'
import type { PriorityOf } from './policy.ts'
import { type Alternatives, parseRelations, type Relation, satisfiesVersion } from './relation.ts'
import { compareVersions } from './version.ts'

/** A name on one architecture, with all versions of it; also what only relations name, such as a virtual package. */
export interface Package {
  name: string
  /** `any` where a relation asks for `name:any` */
  architecture: string
  /** in the order in which names came up */
  id: number
  /** newest first */
  versions: Candidate[]
  /** what the base system has of it */
  current?: Candidate
  essential: boolean
  important: boolean
  offers?: Offer[]
}

/** A version that answers to the name of a package without being one of its own. */
export interface Offer {
  candidate: Candidate
  owner: Package
  /** undefined where the Provides is unversioned: it meets no versioned relation (policy 7.5) */
  version: string | undefined
  /** `Provides: name:i386` */
  qualified: boolean
}

/** One alternative of a dependency, with what it means on this machine. */
export interface Target {
  package: Package
  relation: Relation
  /** `name:i386` means just that architecture, where `name` would also be met by a `Multi-Arch: foreign` package of another */
  exact?: boolean
  /** one architecture of a package refuses the others (MultiarchSpec), without saying so */
  implicit?: boolean
}

export type DependencyType = 'pre-depends' | 'depends' | 'conflicts' | 'breaks' | 'recommends' | 'suggests'

/** One group of alternatives of a version; of what it refuses each stands alone. */
export interface Dependency {
  type: DependencyType
  parent: Package
  parentVersion: Candidate
  negative: boolean
  /** all but `recommends` and `suggests` */
  critical: boolean
  targets: Target[]
}

/** A suite as messages and `package/suite` name it. */
export interface SuiteNames {
  suite: string
  release: Record<string, string>
}

export interface UniverseOptions {
  /** of the machine */
  architecture: string
  /** by the candidates' `source` */
  suites?: SuiteNames[]
  /** dpkg --add-architecture */
  foreign?: string[]
  /** 500 for all unless given */
  priorityOf?: PriorityOf
  /** the base system; also versions that no source has */
  installed?: Candidate[]
}

/**
 * All packages that a machine can install, and what their names and relations mean on it: apt's package cache.
 * `Architecture: all` belongs to the machine's own architecture, as in apt.
 */
export class Universe {
  readonly architecture: string
  readonly architectures: string[]
  readonly priorityOf: PriorityOf
  readonly #packages = new Map<string, Package>()
  /** by Provides only: an offer of its own for each of 60,000 packages would cost memory for nothing */
  readonly #provided = new Map<string, Offer[]>()
  readonly #dependencies = new Map<Candidate, Dependency[]>()
  readonly #installed: Package[] = []
  readonly #suites: SuiteNames[]
  readonly #order: NameOrder

  constructor(candidates: Candidate[], options: UniverseOptions) {
    this.architecture = options.architecture
    this.architectures = [options.architecture, ...(options.foreign ?? [])]
    this.priorityOf = options.priorityOf ?? (() => 500)
    this.#order = new NameOrder(candidates, options.architecture)
    this.#suites = options.suites ?? []
    for (const candidate of candidates) this.#add(candidate)
    for (const candidate of options.installed ?? []) this.#install(candidate)
    for (const one of this.#packages.values()) {
      if (one.versions.length > 1) one.versions.sort((a, b) => compareVersions(b.version, a.version))
    }
  }

  #add(candidate: Candidate): Candidate {
    const architecture = this.#architectureOf(candidate)
    const known = this.#packages.get(this.#key(candidate.name, architecture))
    // most have one version: a list of just that takes a tenth of the memory of one that grows
    const owner = known ?? this.#make(candidate.name, architecture, [candidate])
    const same = known?.versions.find(
      other => other.version === candidate.version && other.sha256 === candidate.sha256,
    )
    if (same) {
      // the same file in another suite, or in the index of another architecture
      if (same.source !== candidate.source && !same.alsoIn?.includes(candidate.source))
        same.alsoIn = [...(same.alsoIn ?? []), candidate.source]
      return same
    }
    known?.versions.push(candidate)
    if (candidate.essential) owner.essential = true
    if (candidate.important) owner.important = true
    if (candidate.provides !== undefined) this.#addProvides(owner, candidate)
    return candidate
  }

  #install(candidate: Candidate): void {
    const owner = this.#package(candidate.name, this.#architectureOf(candidate))
    const known = owner.versions.find(other => other.version === candidate.version)
    owner.current = known ?? this.#add(candidate)
    this.#installed.push(owner)
  }

  #addProvides(owner: Package, candidate: Candidate): void {
    for (const { name, qualifier, version } of providesOf(candidate)) {
      const offer = { candidate, owner, version, qualified: qualifier !== undefined }
      for (const key of this.#keysProvided(owner, candidate, { name, qualifier })) {
        const others = this.#provided.get(key)
        if (others) others.push(offer)
        else this.#provided.set(key, [offer])
      }
    }
  }

  /** MultiarchSpec: a `foreign` package provides for every architecture, an `allowed` one for `:any`, too. */
  #keysProvided(
    owner: Package,
    { multiArch }: Candidate,
    { name, qualifier }: { name: string; qualifier: string | undefined },
  ): string[] {
    if (qualifier !== undefined) return [this.#key(name, qualifier)]
    if (multiArch === 'foreign') return this.architectures.map(architecture => this.#key(name, architecture))
    const own = this.#key(name, owner.architecture)
    return multiArch === 'allowed' ? [own, this.#key(name, 'any')] : [own]
  }

  #key(name: string, architecture: string): string {
    return architecture === this.architecture ? name : `${name}:${architecture}`
  }

  #architectureOf({ architecture }: Candidate): string {
    return architecture === 'all' ? this.architecture : architecture
  }

  #package(name: string, architecture: string): Package {
    return this.#packages.get(this.#key(name, architecture)) ?? this.#make(name, architecture, [])
  }

  #make(name: string, architecture: string, versions: Candidate[]): Package {
    const id = this.#packages.size
    const made = { name, architecture, id, versions, essential: false, important: false }
    this.#packages.set(this.#key(name, architecture), made)
    return made
  }

  /** undefined where no version of it is there; of the machine's own architecture unless said. */
  find(name: string, architecture = this.architecture): Package | undefined {
    const found = this.#packages.get(this.#key(name, architecture))
    return found && found.versions.length > 0 ? found : undefined
  }

  /** Also a name that nothing has. */
  named(name: string, architecture = this.architecture): Package {
    return this.#package(name, architecture)
  }

  *names(): Generator<string> {
    for (const { name, versions } of this.#packages.values()) if (versions.length > 0) yield name
  }

  /** Packages of the base system. */
  installed(): Package[] {
    return this.#installed
  }

  ownerOf(candidate: Candidate): Package {
    return this.#package(candidate.name, this.#architectureOf(candidate))
  }

  /** Whether a suite (Suite or Codename of its Release file, or as the manifest names it) has the version. */
  isIn({ source, alsoIn = [] }: Candidate, suite: string): boolean {
    return [source, ...alsoIn].some(i => {
      const names = this.#suites[i]
      return names && [names.suite, names.release.Suite, names.release.Codename].includes(suite)
    })
  }

  /** `1.0 (jammy)`; the suite only where there are several. */
  describe({ version, source }: Candidate): string {
    if (source < 0) return `${version} (of the base system)`
    return this.#suites.length > 1 ? `${version} (${this.#suites[source]?.suite})` : version
  }

  /** Names that the version answers to besides its own. */
  answersTo(candidate: Candidate): Package[] {
    const owner = this.ownerOf(candidate)
    const keys = providesOf(candidate).flatMap(({ name, qualifier }) =>
      this.#keysProvided(owner, candidate, { name, qualifier }),
    )
    const { multiArch, name } = candidate
    if (multiArch === 'allowed') keys.push(this.#key(name, 'any'))
    if (multiArch === 'foreign') keys.push(...this.architectures.map(one => this.#key(name, one)))
    return keys.flatMap(key => this.#packages.get(key) ?? [])
  }

  /** What apt would install: the best priority, then the newest; never an older one than is there, below 1000. */
  candidateOf({ versions, current }: Package): Candidate | undefined {
    let best: Candidate | undefined
    let bestPriority = -1
    for (const version of versions) {
      // an installed version that no source has counts as apt's status file does: 100
      const priority = version.source < 0 ? 100 : this.priorityOf(version)
      if (priority === 0 || priority <= bestPriority) continue
      if (version.source < 0 && version !== current) continue
      if (current && priority < 1000 && compareVersions(version.version, current.version) < 0) continue
      best = version
      bestPriority = priority
    }
    return best
  }

  /** Who else answers to the name. */
  offers(target: Package): Offer[] {
    target.offers ??= [...this.#implicitOffers(target), ...(this.#provided.get(this.#keyOf(target)) ?? [])]
    return target.offers
  }

  /** Who else meets a target, whatever the version. */
  offersTo({ package: target, exact = false }: Target): Offer[] {
    const offers = this.offers(target)
    if (!exact || this.architectures.length === 1) return offers
    return offers.filter(offer => offer.qualified || offer.owner.architecture === target.architecture)
  }

  #keyOf(target: Package): string {
    return this.#key(target.name, target.architecture)
  }

  #implicitOffers(target: Package): Offer[] {
    const isAny = target.architecture === 'any'
    const offers: Offer[] = []
    for (const architecture of this.architectures) {
      if (architecture === target.architecture) continue
      const owner = this.#packages.get(this.#key(target.name, architecture))
      for (const candidate of owner?.versions ?? []) {
        if (candidate.multiArch === (isAny ? 'allowed' : 'foreign'))
          offers.push({ candidate, owner: owner!, version: candidate.version, qualified: false })
      }
    }
    return offers
  }

  /** Pre-Depends, Depends, Conflicts, Breaks, Recommends, Suggests, in the order in which apt goes through them. */
  dependencies(candidate: Candidate): Dependency[] {
    const known = this.#dependencies.get(candidate)
    if (known) return known
    const parent = this.ownerOf(candidate)
    const found: Dependency[] = []
    const add = (type: DependencyType, targets: Target[]) => {
      const negative = type === 'conflicts' || type === 'breaks'
      const critical = type !== 'recommends' && type !== 'suggests'
      found.push({ type, parent, parentVersion: candidate, negative, critical, targets })
    }
    const addField = (type: DependencyType, field: string | undefined) => {
      if (field === undefined) return
      for (const group of parseRelations(field, itemOf(candidate))) {
        const targets = group.map(relation => this.#target(relation, parent))
        if (type !== 'conflicts' && type !== 'breaks') add(type, targets)
        else for (const target of targets) add(type, [target])
      }
    }
    addField('pre-depends', candidate.preDepends)
    addField('depends', candidate.depends)
    addField('conflicts', candidate.conflicts)
    addField('breaks', candidate.breaks)
    addField('recommends', candidate.recommends)
    addField('suggests', candidate.suggests)
    for (const target of this.#siblings(parent, candidate)) {
      add(target.relation.operator === undefined ? 'conflicts' : 'breaks', [target])
    }
    this.#dependencies.set(candidate, found)
    return found
  }

  #target(relation: Relation, parent: Package): Target {
    const { name, qualifier } = relation
    if (qualifier === undefined) return { package: this.#package(name, parent.architecture), relation }
    const architecture = qualifier === 'native' ? this.architecture : qualifier
    const exact = architecture !== 'any'
    return { package: this.#package(name, architecture), relation, exact }
  }

  /** MultiarchSpec: `same` stands beside itself in the same version only, all else not at all. */
  *#siblings(parent: Package, { multiArch, version }: Candidate): Generator<Target> {
    for (const architecture of this.architectures) {
      if (architecture === parent.architecture) continue
      const other = this.#packages.get(this.#key(parent.name, architecture))
      if (!other || other.versions.length === 0) continue
      const relation: Relation =
        multiArch === 'same' ? { name: parent.name, operator: '!=', version } : { name: parent.name }
      yield { package: other, relation, implicit: true }
    }
  }

  /** Negative where the name of the one came up before the other's: apt's last tie-break. */
  compareOrder(a: Package, b: Package): number {
    return this.#order.compare(this.#keyOf(a), this.#keyOf(b))
  }
}

/** Whether the relation refuses or asks for nothing of this package: no one stands in his own way (policy 7.4). */
export function isIgnorable({ negative, parent, parentVersion }: Dependency, target: Target): boolean {
  if (!negative || parent.name !== target.package.name) return false
  if (parent === target.package) return true
  return parentVersion.multiArch === 'same' && !target.implicit
}

export function isIgnorableOffer({ negative, parent }: Dependency, target: Target, offer: Offer): boolean {
  if (!negative) return false
  return target.implicit === true || offer.owner.name === parent.name
}

export function meets({ relation }: Target, version: string | undefined): boolean {
  return version === undefined ? relation.operator === undefined : satisfiesVersion(relation, version)
}

/** Names that the version answers to besides its own. As apt, what is neither unversioned nor `(= x)` is no Provides. */
function providesOf(
  candidate: Candidate,
): { name: string; qualifier: string | undefined; version: string | undefined }[] {
  return parseField(candidate, candidate.provides)
    .flat()
    .filter(({ operator }) => operator === undefined || operator === '=')
    .map(({ name, qualifier, version }) => ({ name, qualifier, version }))
}

function parseField(candidate: Candidate, field: string | undefined): Alternatives[] {
  return field === undefined ? [] : parseRelations(field, itemOf(candidate))
}

export function itemOf(candidate: Candidate): string {
  return `${candidate.name} ${candidate.version} ${candidate.architecture}`
}
