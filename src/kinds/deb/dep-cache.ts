import type { Candidate } from './candidate.ts'
import type { Offer, Package } from './package.ts'
import {
  type Dependency,
  isIgnorable,
  isIgnorableOffer,
  meets,
  type Target,
  type Universe,
} from './universe.ts'

/** apt's StateCache: what is planned for one package. */
export interface State {
  /** CandidateVer: the version to install; undefined, or the installed one, once installing it has failed */
  candidate: Candidate | undefined
  /** InstVer: the version that will be present afterwards */
  install: Candidate | undefined
  mode: 'keep' | 'install' | 'delete'
  /** Protect: requested, or the only solution of a protected package, or being decided further up the recursion */
  isProtected: boolean
  /** Flag::Auto: not requested by name */
  isAuto: boolean
}

/** Which version of a package a dependency is compared with: the planned, the candidate or the installed one. */
export type VersionSelector = 'install' | 'candidate' | 'current'

export interface Solution {
  package: Package
  version: Candidate
}

/**
 * The planned state of every package, after pkgDepCache (apt 2.6, apt-pkg/depcache.cc): what the site's apt will choose is
 * what has to be carried. `markInstall` in mark-install.ts does the recursive part.
 */
export class DepCache {
  readonly universe: Universe
  readonly recommends: boolean
  readonly #states: (State | undefined)[] = []
  /** packages that have a state; all others are as installed */
  readonly #touched: Package[] = []
  #reverse: Map<Package, Dependency[]> | undefined

  constructor(universe: Universe, options: { recommends: boolean }) {
    this.universe = universe
    this.recommends = options.recommends
    for (const installed of universe.installed()) this.state(installed)
  }

  state(of: Package): State {
    const known = this.#states[of.id]
    if (known) return known
    const made: State = {
      candidate: of.versions.length === 0 ? undefined : this.universe.candidateOf(of),
      install: of.current,
      mode: 'keep',
      isProtected: false,
      isAuto: false,
    }
    this.#states[of.id] = made
    this.#touched.push(of)
    return made
  }

  /** Packages whose state was read or changed; only these can be marked. */
  touched(): Package[] {
    return this.#touched
  }

  setCandidate(of: Package, candidate: Candidate | undefined): void {
    this.state(of).candidate = candidate
  }

  /** The versions that satisfy `target`: of the package itself, then of its providers. */
  matches(dependency: Dependency, target: Target, selector: VersionSelector): Solution[] {
    const own = this.#ownMatch(dependency, target, selector)
    const found = own === undefined ? [] : [{ package: target.package, version: own }]
    for (const offer of this.universe.offersTo(target)) {
      if (this.#isMatch(offer, { dependency, target, selector }))
        found.push({ package: offer.owner, version: offer.candidate })
    }
    return found
  }

  #hasMatch(dependency: Dependency, target: Target, selector: VersionSelector): boolean {
    if (this.#ownMatch(dependency, target, selector) !== undefined) return true
    const offers = this.universe.offersTo(target)
    return offers.length > 0 && offers.some(offer => this.#isMatch(offer, { dependency, target, selector }))
  }

  #ownMatch(dependency: Dependency, target: Target, selector: VersionSelector): Candidate | undefined {
    if (isIgnorable(dependency, target)) return undefined
    const version = this.#select(target.package, selector)
    return version !== undefined && meets(target, version.version) ? version : undefined
  }

  #isMatch(
    offer: Offer,
    { dependency, target, selector }: { dependency: Dependency; target: Target; selector: VersionSelector },
  ): boolean {
    return (
      this.#select(offer.owner, selector) === offer.candidate &&
      !isIgnorableOffer(dependency, target, offer) &&
      meets(target, offer.version)
    )
  }

  #select(of: Package, selector: VersionSelector): Candidate | undefined {
    if (selector === 'current') return of.current
    if (selector === 'install')
      return this.#states[of.id] === undefined ? of.current : this.#states[of.id]?.install
    return of.versions.length === 0 ? undefined : this.state(of).candidate
  }

  /** CheckDep: a positive dependency has a match, a negative one (Conflicts, Breaks) has none. */
  isSatisfied(dependency: Dependency, selector: VersionSelector = 'install'): boolean {
    return (
      dependency.targets.some(target => this.#hasMatch(dependency, target, selector)) !== dependency.negative
    )
  }

  /** IsImportantDep: critical dependencies, and Recommends where they are installed. */
  isImportant(dependency: Dependency): boolean {
    return dependency.critical || (dependency.type === 'recommends' && this.recommends)
  }

  /** InstBroken: a critical dependency of the planned version is not satisfied. */
  isBroken(of: Package): boolean {
    const { install } = this.state(of)
    if (!install) return false
    return this.universe.dependencies(install).some(one => one.critical && !this.isSatisfied(one))
  }

  /** InstPolicyBroken: an important dependency of the planned version is not satisfied. */
  isPolicyBroken(of: Package): boolean {
    const { install } = this.state(of)
    if (!install) return false
    return this.universe.dependencies(install).some(one => this.isImportant(one) && !this.isSatisfied(one))
  }

  /** MarkKeep. Returns false where the package is protected. */
  markKeep(of: Package): boolean {
    const state = this.state(of)
    if (!this.isModeChangeOk(of, 'keep')) return false
    state.mode = 'keep'
    state.install = of.current
    return true
  }

  /** MarkDelete. Returns false where the package is protected, essential or requested. */
  markDelete(of: Package): boolean {
    const state = this.state(of)
    if (!this.isModeChangeOk(of, 'delete')) return false
    if (state.mode === 'delete' || state.install === undefined) return true
    if (!this.isDeleteOk(of)) return false
    state.mode = of.current === undefined ? 'keep' : 'delete'
    state.install = undefined
    return true
  }

  isModeChangeOk(of: Package, mode: State['mode']): boolean {
    if (of.versions.length === 0) return false
    const state = this.state(of)
    if (state.mode === mode) return true
    if (state.isProtected) return false
    return mode !== 'delete' || !(of.essential || of.important)
  }

  /** IsDeleteOk: a package that was requested by name is not removed again. */
  isDeleteOk(of: Package): boolean {
    const state = this.state(of)
    return of.current !== undefined || state.install === undefined || state.isAuto
  }

  /** Dependencies of installed packages on this one. */
  reverseDependencies(of: Package): readonly Dependency[] {
    this.#reverse ??= this.#reverseDependencies()
    return this.#reverse.get(of) ?? []
  }

  #reverseDependencies(): Map<Package, Dependency[]> {
    const reverse = new Map<Package, Dependency[]>()
    for (const { current } of this.universe.installed()) {
      for (const dependency of current ? this.universe.dependencies(current) : []) {
        if (dependency.negative) continue
        for (const target of dependency.targets) {
          const others = reverse.get(target.package)
          if (others) others.push(dependency)
          else reverse.set(target.package, [dependency])
        }
      }
    }
    return reverse
  }

  /**
   * getAllPossibleSolutions: every version that satisfies the dependency. Installed packages come first, then alternative
   * by alternative, the best provider (CompareProviders) first.
   */
  allSolutions(dependency: Dependency, selector: 'candidate' | 'current'): Solution[] {
    const installed: Solution[] = []
    const others: Solution[] = []
    const seen = new Set<Candidate>()
    for (const target of dependency.targets) {
      const found = this.matches(dependency, target, selector)
      if (found.length > 1) found.sort((a, b) => this.#compareProviders(target, a, b))
      for (const one of found) {
        if (seen.has(one.version)) continue
        seen.add(one.version)
        ;(one.package.current ? installed : others).push(one)
      }
    }
    const all = [...installed, ...others]
    return dependency.negative ? all : all.filter(one => !this.#isExcluded(one.package))
  }

  /** Protected in a state in which it will not be present. */
  #isExcluded(of: Package): boolean {
    const { isProtected, mode } = this.state(of)
    return isProtected && (mode === 'delete' || (mode === 'keep' && of.current === undefined))
  }

  /** CompareProviders (apt-pkg/depcache.cc). */
  #compareProviders(target: Target, a: Solution, b: Solution): number {
    const first = (test: (one: Solution) => boolean) => Number(test(b)) - Number(test(a))
    const { architectures } = this.universe
    const rank = (of: Package) => architectures.indexOf(of.architecture)
    return (
      first(one => this.state(one.package).isProtected) ||
      first(one => one.version.multiArch === 'same' && this.#isAnyArchitectureInstalled(one.package)) ||
      first(one => one.package.current !== undefined) ||
      first(one => !target.exact && one.package.name === target.package.name) ||
      first(one => one.package.essential) ||
      first(one => one.package.important) ||
      rank(a.package) - rank(b.package) ||
      a.version.priority - b.version.priority ||
      this.universe.compareOrder(b.package, a.package) ||
      b.package.id - a.package.id
    )
  }

  #isAnyArchitectureInstalled({ name }: Package): boolean {
    return this.universe.architectures.some(
      architecture => this.universe.find(name, architecture)?.current !== undefined,
    )
  }
}
