import { compareVersions } from '../../core/debian-version.ts'
import type { Candidate } from './candidate.ts'
import { type Offer, Package } from './package.ts'
import type { PackageList } from './package-list.ts'
import { type PolicySource, requestedRelease } from './pin.ts'
import type { PriorityOf } from './policy.ts'
import { type Alternatives, parseRelations, type Relation, satisfiesVersion } from './relation.ts'

/** One alternative of a dependency, resolved to a package of this machine. */
export interface Target {
  package: Package
  relation: Relation
  /** `name:i386`: only that architecture; plain `name` is also satisfied by a `Multi-Arch: foreign` package of another one */
  exact?: boolean
  /** implicit: one architecture of a package conflicts with the others (MultiarchSpec) */
  implicit?: boolean
}

export type DependencyType = 'pre-depends' | 'depends' | 'conflicts' | 'breaks' | 'recommends' | 'suggests'

/** One group of alternatives of a version; each negative relation is a group of its own. */
export interface Dependency {
  type: DependencyType
  parent: Package
  parentVersion: Candidate
  negative: boolean
  /** all but `recommends` and `suggests` */
  critical: boolean
  targets: Target[]
}

export interface UniverseOptions {
  /** native architecture of the machine */
  architecture: string
  /** by the candidates' `source` */
  suites?: PolicySource[]
  /** dpkg --add-architecture */
  foreign?: string[]
  /** 500 for all unless given */
  priorityOf?: PriorityOf
  /** the base system, including versions that no source has */
  installed?: Candidate[]
}

/**
 * All packages that a machine can install, with their names and relations resolved for it (apt's package cache).
 * `Architecture: all` counts as the native architecture, as in apt.
 */
export class Universe {
  readonly architecture: string
  readonly architectures: string[]
  readonly priorityOf: PriorityOf
  readonly #packages = new Map<string, Package>()
  readonly #lists: readonly PackageList[]
  readonly #dependencies = new Map<Candidate, Dependency[]>()
  readonly #provides = new Map<Candidate, Provided[]>()
  readonly #installed: Package[] = []
  /** versions of the base system that no list has */
  readonly #unlisted: Candidate[] = []
  readonly #suites: PolicySource[]

  /** The lists are in the order of the sources. */
  constructor(lists: readonly PackageList[], options: UniverseOptions) {
    this.architecture = options.architecture
    this.architectures = [options.architecture, ...(options.foreign ?? [])]
    this.priorityOf = options.priorityOf ?? (() => 500)
    this.#lists = lists
    this.#suites = options.suites ?? []
    for (const candidate of options.installed ?? []) this.#install(candidate)
  }

  #package(name: string, architecture: string): Package {
    const key = this.#key(name, architecture)
    const known = this.#packages.get(key)
    if (known !== undefined) return known
    const made = new Package({ name, architecture, id: this.#packages.size }, this.#versionsOf)
    this.#packages.set(key, made)
    return made
  }

  readonly #versionsOf = ({ name, architecture }: Package): Candidate[] => {
    const versions: Candidate[] = []
    for (const list of this.#lists) {
      for (const candidate of list.versionsOf(name))
        if (this.#architectureOf(candidate) === architecture) addVersion(versions, candidate)
    }
    return newestFirst(versions)
  }

  #install(candidate: Candidate): void {
    const owner = this.ownerOf(candidate)
    const known = owner.versions.find(other => other.version === candidate.version)
    owner.current = known ?? candidate
    if (known === undefined) {
      addVersion(owner.versions, candidate)
      newestFirst(owner.versions)
      this.#unlisted.push(candidate)
    }
    this.#installed.push(owner)
  }

  /** MultiarchSpec: a `foreign` package provides for every architecture, an `allowed` one for `:any`, too. */
  #architecturesProvided(
    owner: Package,
    { multiArch }: Candidate,
    qualifier: string | undefined,
  ): readonly string[] {
    if (qualifier !== undefined) return [qualifier]
    if (multiArch === 'foreign') return this.architectures
    return multiArch === 'allowed' ? [owner.architecture, 'any'] : [owner.architecture]
  }

  #key(name: string, architecture: string): string {
    return architecture === this.architecture ? name : `${name}:${architecture}`
  }

  #architectureOf({ architecture }: Candidate): string {
    return architecture === 'all' ? this.architecture : architecture
  }

  /** Returns undefined where there is no version. Without an architecture, the native one is meant. */
  find(name: string, architecture = this.architecture): Package | undefined {
    const found = this.#package(name, architecture)
    return found.versions.length > 0 ? found : undefined
  }

  /** Also for a name that no package has. */
  named(name: string, architecture = this.architecture): Package {
    return this.#package(name, architecture)
  }

  /** Each name once. */
  names(): Iterable<string> {
    const names = new Set(this.#lists.flatMap(list => [...list.names()]))
    for (const { name } of this.#unlisted) names.add(name)
    return names
  }

  /** Packages of the base system. */
  installed(): Package[] {
    return this.#installed
  }

  ownerOf(candidate: Candidate): Package {
    return this.#package(candidate.name, this.#architectureOf(candidate))
  }

  /** Whether a source that `package/suite` may mean has the version. */
  isIn({ source, alsoIn = [], component }: Candidate, suite: string): boolean {
    const fits = requestedRelease(suite)
    return [source, ...alsoIn].some(i => {
      const known = this.#suites[i]
      return known !== undefined && fits(known, component)
    })
  }

  /** `1.0 (jammy)`; the suite is shown only where there are several. */
  describe({ version, source }: Candidate): string {
    if (source < 0) return `${version} (base system)`
    return this.#suites.length > 1 ? `${version} (${this.#suites[source]?.suite})` : version
  }

  /** The packages whose names the version provides, without its own. */
  answersTo(candidate: Candidate): Package[] {
    const owner = this.ownerOf(candidate)
    const provided = this.#providesOf(candidate).flatMap(({ name, qualifier }) =>
      this.#architecturesProvided(owner, candidate, qualifier).map(one => this.#package(name, one)),
    )
    const { multiArch, name } = candidate
    if (multiArch === 'allowed') provided.push(this.#package(name, 'any'))
    if (multiArch === 'foreign') provided.push(...this.architectures.map(one => this.#package(name, one)))
    return provided
  }

  /** The candidate as apt chooses it: highest priority, then newest; below priority 1000 never a downgrade. */
  candidateOf({ versions, current }: Package): Candidate | undefined {
    let best: Candidate | undefined
    let bestPriority = -1
    for (const version of versions) {
      // an installed version that no source has gets the priority of apt's status file, 100
      const priority = version.source < 0 ? 100 : this.priorityOf(version)
      if (priority === 0 || priority <= bestPriority) continue
      if (version.source < 0 && version !== current) continue
      if (current && priority < 1000 && compareVersions(version.version, current.version) < 0) continue
      best = version
      bestPriority = priority
    }
    return best
  }

  /** Versions of other packages that provide the name. */
  offers(target: Package): Offer[] {
    target.offers ??= [...this.#implicitOffers(target), ...this.#explicitOffers(target)]
    return target.offers
  }

  *#explicitOffers({ name, architecture }: Package): Generator<Offer> {
    for (const candidate of this.#mentioning(name)) {
      const owner = this.ownerOf(candidate)
      // the same file in another suite counts once
      if (!owner.versions.includes(candidate)) continue
      for (const { name: provided, qualifier, version } of this.#providesOf(candidate)) {
        if (provided !== name) continue
        if (this.#architecturesProvided(owner, candidate, qualifier).includes(architecture))
          yield { candidate, owner, version, qualified: qualifier !== undefined }
      }
    }
  }

  /** As in apt, a Provides with an operator other than `=` is ignored. */
  #providesOf(candidate: Candidate): Provided[] {
    const known = this.#provides.get(candidate)
    if (known !== undefined) return known
    const relations = parseField(candidate, candidate.provides).flat()
    const provides = relations.filter(({ operator }) => operator === undefined || operator === '=')
    this.#provides.set(candidate, provides)
    return provides
  }

  /** The versions that may provide the name, in the order of the sources. */
  *#mentioning(name: string): Generator<Candidate> {
    for (const list of this.#lists) yield* list.providersOf(name)
    yield* this.#unlisted
  }

  /** Versions of other packages that provide the target's name, whatever the version. */
  offersTo({ package: target, exact = false }: Target): Offer[] {
    const offers = this.offers(target)
    if (!exact || this.architectures.length === 1) return offers
    return offers.filter(offer => offer.qualified || offer.owner.architecture === target.architecture)
  }

  #implicitOffers(target: Package): Offer[] {
    const isAny = target.architecture === 'any'
    const offers: Offer[] = []
    for (const architecture of this.architectures) {
      if (architecture === target.architecture) continue
      const owner = this.#package(target.name, architecture)
      for (const candidate of owner.versions) {
        if (candidate.multiArch === (isAny ? 'allowed' : 'foreign'))
          offers.push({ candidate, owner, version: candidate.version, qualified: false })
      }
    }
    return offers
  }

  /** Pre-Depends, Depends, Conflicts, Breaks, Recommends, Suggests, in apt's order. */
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

  /** MultiarchSpec: architectures of a `same` package coexist in equal versions only, all others never. */
  *#siblings(parent: Package, { multiArch, version }: Candidate): Generator<Target> {
    for (const architecture of this.architectures) {
      if (architecture === parent.architecture) continue
      const other = this.#package(parent.name, architecture)
      if (other.versions.length === 0) continue
      const relation: Relation =
        multiArch === 'same' ? { name: parent.name, operator: '!=', version } : { name: parent.name }
      yield { package: other, relation, implicit: true }
    }
  }

  /**
   * Negative where apt's cache meets the first name before the second, in a stanza or in a relation of another package: apt's last
   * tie-break between equal providers (the last one wins).
   */
  compareOrder(a: Package, b: Package): number {
    for (const list of this.#lists) {
      const [first, second] = [a, b].map(one => list.metAt(one, this.architecture))
      if (first !== undefined || second !== undefined) return (first ?? Infinity) - (second ?? Infinity)
    }
    return 0
  }
}

function addVersion(versions: Candidate[], candidate: Candidate): void {
  const same = versions.find(
    other => other.version === candidate.version && other.sha256 === candidate.sha256,
  )
  if (same === undefined) versions.push(candidate)
  // the same file in another suite, or in the index of another architecture
  else if (same.source !== candidate.source && !same.alsoIn?.includes(candidate.source))
    same.alsoIn = [...(same.alsoIn ?? []), candidate.source]
}

/** In place. */
function newestFirst(versions: Candidate[]): Candidate[] {
  return versions.length > 1 ? versions.sort((a, b) => compareVersions(b.version, a.version)) : versions
}

/** IsIgnorable: a package never conflicts with itself (policy 7.4). */
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

/** A name that a version provides. */
interface Provided {
  name: string
  qualifier?: string
  version?: string
}

function parseField(candidate: Candidate, field: string | undefined): Alternatives[] {
  return field === undefined ? [] : parseRelations(field, itemOf(candidate))
}

export function itemOf(candidate: Candidate): string {
  return `${candidate.name} ${candidate.version} ${candidate.architecture}`
}
