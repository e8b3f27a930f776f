import type { Candidate } from './candidate.ts'
import { DepCache } from './dep-cache.ts'
import type { Failure } from './explain.ts'
import type { Package } from './package.ts'
import { formatRelation } from './relation.ts'
import {
  type Dependency,
  isIgnorable,
  isIgnorableOffer,
  meets,
  type Target,
  type Universe,
} from './universe.ts'

const maxDepth = 1_000
const maxSteps = 20_000

/** A selected version, and the package that it is needed by. */
interface Place {
  version: Candidate
  because?: string
}

/**
 * Searches for the reason why packages cannot be installed together: follows all dependencies in order of preference and
 * records why each alternative failed. Runs only after marking has failed. Returns undefined where it finds no reason.
 */
export function whyNot(
  universe: Universe,
  requests: { package: Package; version: Candidate }[],
): Failure | undefined {
  const search = new Search(universe, requests)
  for (const request of requests) {
    const conflict = search.add(request)
    if (conflict) return conflict
  }
  for (const { version } of requests) {
    const failed = search.needs(version, 0)
    if (failed) return failed
  }
  return undefined
}

class Search {
  readonly #universe: Universe
  readonly #depCache: DepCache
  readonly #selected = new Map<Package, Place>()
  readonly #trail: Package[] = []
  /** negative dependencies of the selected packages, by the package that they exclude */
  readonly #conflicts = new Map<Package, Dependency[]>()
  readonly #hopeless = new Map<Candidate, Failure>()
  #steps = 0

  constructor(universe: Universe, requests: { package: Package; version: Candidate }[]) {
    this.#universe = universe
    this.#depCache = new DepCache(universe, { recommends: false })
    for (const request of requests) this.#depCache.setCandidate(request.package, request.version)
  }

  add({ package: of, version }: { package: Package; version: Candidate }): Failure | undefined {
    const conflict = this.#findConflict(of, version)
    if (!conflict) this.#push(of, { version })
    return conflict
  }

  needs(version: Candidate, depth: number): Failure | undefined {
    for (const dependency of this.#universe.dependencies(version)) {
      if (!dependency.critical || dependency.negative || this.#isSatisfied(dependency)) continue
      const failed = this.#satisfy(dependency, depth)
      if (failed) return failed
    }
    return undefined
  }

  #satisfy(dependency: Dependency, depth: number): Failure | undefined {
    const lacks: (string | Failure)[] = []
    const tried = new Set<Candidate>()
    for (const target of dependency.targets) {
      const choices = this.#depCache.allSolutions({ ...dependency, targets: [target] }, 'candidate')
      if (choices.length === 0) lacks.push(this.#whyNone(target))
      for (const choice of choices) {
        if (tried.has(choice.version)) continue
        tried.add(choice.version)
        const failed = this.#select(choice, dependency.parent.name, depth + 1)
        if (!failed) return undefined
        lacks.push(failed)
      }
    }
    const wants = dependency.targets.map(target => formatRelation(target.relation)).join(' | ')
    return { package: dependency.parentVersion, wants, lacks, ...culpritsOf(lacks) }
  }

  #select(
    { package: of, version }: { package: Package; version: Candidate },
    because: string,
    depth: number,
  ): Failure | undefined {
    const known = this.#hopeless.get(version)
    if (known && this.#stillHolds(known)) return known
    if (++this.#steps > maxSteps || depth > maxDepth)
      return { package: version, lacks: ['the search ended here: too many combinations'] }
    const conflict = this.#findConflict(of, version)
    if (conflict) return conflict
    const { length } = this.#trail
    this.#push(of, { version, because })
    const failed = this.needs(version, depth)
    if (!failed) return undefined
    this.#undo(length)
    const failure: Failure = { package: version, lacks: [failed], ...culpritsOf([failed]) }
    this.#hopeless.set(version, failure)
    return failure
  }

  /** A failure because of a conflict holds while the other package is selected; a missing package stays missing. */
  #stillHolds({ culprits }: Failure): boolean {
    for (const culprit of culprits ?? [])
      if (this.#present(this.#universe.ownerOf(culprit)) !== culprit) return false
    return true
  }

  #present(of: Package): Candidate | undefined {
    return this.#selected.get(of)?.version ?? of.current
  }

  #isSatisfied(dependency: Dependency): boolean {
    return dependency.targets.some(target => this.#found(dependency, target) !== undefined)
  }

  #found(dependency: Dependency, target: Target): { package: Package; version: Candidate } | undefined {
    if (!isIgnorable(dependency, target)) {
      const version = this.#present(target.package)
      if (version && meets(target, version.version)) return { package: target.package, version }
    }
    for (const offer of this.#universe.offersTo(target)) {
      if (this.#present(offer.owner) !== offer.candidate || isIgnorableOffer(dependency, target, offer))
        continue
      if (meets(target, offer.version)) return { package: offer.owner, version: offer.candidate }
    }
    return undefined
  }

  /** Checks the version against the selected packages: its own Conflicts and Breaks, and theirs. */
  #findConflict(of: Package, version: Candidate): Failure | undefined {
    for (const dependency of this.#universe.dependencies(version)) {
      const [target] = dependency.targets
      if (!dependency.negative || !target) continue
      const other = this.#found(dependency, target)
      if (!other || (other.package.current && !this.#selected.has(other.package))) continue
      return this.#conflict(version, other.package, target)
    }
    for (const name of [of, ...this.#universe.answersTo(version)]) {
      for (const dependency of this.#conflicts.get(name) ?? []) {
        const [target] = dependency.targets
        if (!target || dependency.parent === of || !this.#isHit(dependency, target, of, version)) continue
        return this.#conflict(version, dependency.parent, target)
      }
    }
    return undefined
  }

  #isHit(dependency: Dependency, target: Target, of: Package, version: Candidate): boolean {
    if (target.package === of) return !isIgnorable(dependency, target) && meets(target, version.version)
    return this.#universe
      .offersTo(target)
      .some(
        offer =>
          offer.candidate === version &&
          !isIgnorableOffer(dependency, target, offer) &&
          meets(target, offer.version),
      )
  }

  #conflict(version: Candidate, other: Package, target: Target): Failure {
    const place = this.#selected.get(other)
    const present = this.#present(other)
    const why = place?.because === undefined ? 'requested' : `needed by ${place.because}`
    const lack = `it conflicts with ${other.name} ${present?.version ?? ''} (${why}): ${formatRelation(target.relation)}`
    return { package: version, lacks: [lack], culprits: new Set(present ? [present] : []) }
  }

  #whyNone({ relation, package: of }: Target): string {
    const text = formatRelation(relation)
    const versions = of.versions.map(version => this.#universe.describe(version))
    if (versions.length > 0) return `${text}: only ${versions.slice(0, 5).join(', ')} is available`
    const providers = this.#universe.offers(of).map(offer => offer.candidate.name)
    if (providers.length > 0)
      return `${text}: provided by ${[...new Set(providers)].slice(0, 5).join(', ')}, but not in that version`
    return `${text}: no such package`
  }

  #push(of: Package, place: Place): void {
    this.#trail.push(of)
    this.#selected.set(of, place)
    for (const dependency of this.#universe.dependencies(place.version)) {
      const name = dependency.targets[0]?.package
      if (!dependency.negative || !name) continue
      const conflicts = this.#conflicts.get(name)
      if (conflicts) conflicts.push(dependency)
      else this.#conflicts.set(name, [dependency])
    }
  }

  #undo(length: number): void {
    while (this.#trail.length > length) {
      const of = this.#trail.pop()!
      const place = this.#selected.get(of)
      this.#selected.delete(of)
      for (const dependency of place ? this.#universe.dependencies(place.version) : []) {
        const conflicts = dependency.negative
          ? this.#conflicts.get(dependency.targets[0]!.package)
          : undefined
        const at = conflicts?.lastIndexOf(dependency) ?? -1
        if (at >= 0) conflicts?.splice(at, 1)
      }
    }
  }
}

/** The conflicting packages of a whole branch: without them another attempt may succeed. */
function culpritsOf(lacks: (string | Failure)[]): { culprits?: Set<Candidate> } {
  const culprits = lacks.flatMap(lack => (typeof lack === 'string' ? [] : [...(lack.culprits ?? [])]))
  return culprits.length > 0 ? { culprits: new Set(culprits) } : {}
}
