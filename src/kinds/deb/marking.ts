import { AirgapError } from '../../core/errors.ts'
import type { Candidate } from './candidate.ts'
import { sourceOf } from './source-package.ts'
import {
  type Dependency,
  isIgnorable,
  isIgnorableOffer,
  itemOf,
  meets,
  type Package,
  type Target,
  type Universe,
} from './universe.ts'

/** What is to become of one package. */
export interface State {
  /** what would be installed; given up (undefined, or what is there) once that has failed */
  candidate: Candidate | undefined
  /** what will be there */
  install: Candidate | undefined
  mode: 'keep' | 'install' | 'delete'
  /** asked for, or the only way to something asked for, or being decided further up: nothing may change it */
  isProtected: boolean
  /** not asked for by name */
  isAuto: boolean
}

/** No chain of dependencies of a real archive is a tenth as long; a bound on hostile ones. */
const maxDepth = 1_000

/**
 * Which packages are marked to be installed, and the marking of one more with all that it needs: the way of
 * pkgDepCache::MarkInstall (apt 2.6, apt-pkg/depcache.cc), because what the site's apt will ask for is what is to be
 * carried. In short: depth first; the first alternative that can be had; what refuses something that is only marked
 * takes its place, what refuses something protected is given up, for good.
 */
export class Marking {
  readonly universe: Universe
  readonly recommends: boolean
  readonly #states: (State | undefined)[] = []
  /** packages whose state was touched; all others are as they were */
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

  /** Packages that were looked at; only these can be marked. */
  touched(): Package[] {
    return this.#touched
  }

  setCandidate(of: Package, candidate: Candidate | undefined): void {
    this.state(of).candidate = candidate
  }

  /** Versions that meet the target: among what will be there, what could be, or what is. */
  *matches(
    dependency: Dependency,
    target: Target,
    which: 'install' | 'candidate' | 'current',
  ): Generator<{ package: Package; version: Candidate }> {
    if (!isIgnorable(dependency, target)) {
      const version = this.#pick(target.package, which)
      if (version && meets(target, version.version)) yield { package: target.package, version }
    }
    for (const offer of this.universe.offersTo(target)) {
      if (this.#pick(offer.owner, which) !== offer.candidate) continue
      if (isIgnorableOffer(dependency, target, offer) || !meets(target, offer.version)) continue
      yield { package: offer.owner, version: offer.candidate }
    }
  }

  #pick(of: Package, which: 'install' | 'candidate' | 'current'): Candidate | undefined {
    if (which === 'current') return of.current
    if (which === 'install')
      return this.#states[of.id] === undefined ? of.current : this.#states[of.id]?.install
    return of.versions.length === 0 ? undefined : this.state(of).candidate
  }

  #meets(dependency: Dependency, target: Target, which: 'install' | 'candidate' | 'current'): boolean {
    for (const _ of this.matches(dependency, target, which)) return true
    return false
  }

  /** Of what is needed: something meets it. Of what is refused: nothing of it will be there. */
  isFine(dependency: Dependency, which: 'install' | 'candidate' | 'current' = 'install'): boolean {
    return dependency.targets.some(target => this.#meets(dependency, target, which)) !== dependency.negative
  }

  isImportant(dependency: Dependency): boolean {
    return dependency.critical || (dependency.type === 'recommends' && this.recommends)
  }

  isBroken(of: Package): boolean {
    const { install } = this.state(of)
    if (!install) return false
    return this.universe.dependencies(install).some(one => one.critical && !this.isFine(one))
  }

  isPolicyBroken(of: Package): boolean {
    const { install } = this.state(of)
    if (!install) return false
    return this.universe.dependencies(install).some(one => this.isImportant(one) && !this.isFine(one))
  }

  markKeep(of: Package): boolean {
    const state = this.state(of)
    if (!this.#mayChange(of, 'keep')) return false
    state.mode = 'keep'
    state.install = of.current
    return true
  }

  markDelete(of: Package): boolean {
    const state = this.state(of)
    if (!this.#mayChange(of, 'delete')) return false
    if (state.mode === 'delete' || state.install === undefined) return true
    if (!this.#mayDelete(of)) return false
    state.mode = of.current === undefined ? 'keep' : 'delete'
    state.install = undefined
    return true
  }

  #mayChange(of: Package, mode: State['mode']): boolean {
    if (of.versions.length === 0) return false
    const state = this.state(of)
    if (state.mode === mode) return true
    if (state.isProtected) return false
    return mode !== 'delete' || !(of.essential || of.important)
  }

  /** What was asked for by name is not taken away again. */
  #mayDelete(of: Package): boolean {
    const state = this.state(of)
    return of.current !== undefined || state.install === undefined || state.isAuto
  }

  /** `alone`: without what it needs. True where it will be there. */
  markInstall(of: Package, options: { alone?: boolean; asked?: boolean; depth?: number } = {}): boolean {
    const { alone = false, asked = false, depth = 0 } = options
    if (depth > maxDepth) throw tooDeep(of)
    const state = this.state(of)
    const keepsAsIs =
      state.isProtected &&
      state.mode === 'keep' &&
      state.candidate !== undefined &&
      state.candidate === of.current
    if (!keepsAsIs && !asked && !this.#mayChange(of, 'install')) return false
    if (of.versions.length === 0 || state.candidate === undefined) return false
    if (!state.isProtected && !this.isPolicyBroken(of)) {
      if (state.candidate === of.current) return state.install === undefined ? this.markKeep(of) : true
      if (state.mode === 'install') return true
    }
    if (!this.#isInstallable(of, { alone, asked })) return false
    if (asked) this.#change(of, true)
    if (alone) {
      if (!asked) this.#change(of, false)
      return true
    }
    return this.#installWithNeeds(of, { asked, depth })
  }

  #installWithNeeds(of: Package, { asked, depth }: { asked: boolean; depth: number }): boolean {
    const state = this.state(of)
    const candidate = state.candidate!
    const wasProtected = state.isProtected
    const failsEarly = !wasProtected && !asked
    let failed = false
    const { toInstall, toRemove } = this.#collect(candidate, wasProtected)
    const removals = this.#refuse(toRemove, { spread: wasProtected, asked })
    if (removals.failed) {
      if (failsEarly) return false
      failed = true
    }
    const toUpgrade = [...removals.toUpgrade, ...this.#dependants(of, candidate, removals.toUpgrade)]
    if (!asked) this.#change(of, false)
    state.isProtected = true
    try {
      this.#upgradeSameSource(of, candidate, depth)
      if (!this.#upgrade(toUpgrade, { spread: wasProtected, asked, depth })) {
        if (failsEarly) return this.#giveUp(of)
        failed = true
      }
      if (!this.#installNeeds(of, toInstall, { spread: wasProtected, asked, depth })) {
        if (failsEarly) return this.#giveUp(of)
        failed = true
      }
      for (const removed of removals.later) {
        if (this.markDelete(removed)) continue
        if (failsEarly) return this.#giveUp(of)
        failed = true
      }
    } finally {
      if (!wasProtected) state.isProtected = false
    }
    return !failed
  }

  #change(of: Package, asked: boolean): void {
    const state = this.state(of)
    if (state.isProtected && state.install === state.candidate) return
    state.mode = state.candidate === of.current ? 'keep' : 'install'
    state.install = state.candidate
    if (asked) state.isAuto = false
    else if (of.current === undefined) state.isAuto = true
  }

  /** As it was, and never tried again. */
  #giveUp(of: Package): false {
    const state = this.state(of)
    if (state.mode === 'keep' && state.install === state.candidate && state.candidate === of.current)
      return false
    state.install = of.current
    state.mode = 'keep'
    state.candidate = of.current
    return false
  }

  #isInstallable(of: Package, { alone, asked }: { alone: boolean; asked: boolean }): boolean {
    const state = this.state(of)
    if (!asked && !this.#isInSync(of)) return false
    if (alone || state.candidate === undefined || state.candidate === of.current) return true
    const lacking = this.universe
      .dependencies(state.candidate)
      .some(one => one.critical && !one.negative && !this.isFine(one) && !this.isFine(one, 'candidate'))
    if (!lacking) return true
    if (!state.isProtected) {
      state.candidate = of.current
      if (state.mode !== 'delete') state.mode = 'keep'
    }
    return false
  }

  /** MultiarchSpec: all architectures of a `same` package that are installed have one version. */
  #isInSync(of: Package): boolean {
    const { candidate, mode, install } = this.state(of)
    if (mode === 'install' && install === candidate) return true
    if (!candidate || candidate === of.current || candidate.multiArch !== 'same') return true
    return this.universe.architectures.every(architecture => {
      const other = this.universe.find(of.name, architecture)
      if (!other?.current || other === of) return true
      const theirs = this.state(other).candidate
      return (
        theirs === undefined ||
        theirs.version === candidate.version ||
        theirs.multiArch !== 'same' ||
        theirs.source < 0
      )
    })
  }

  #collect(candidate: Candidate, spread: boolean): { toInstall: Dependency[]; toRemove: Dependency[] } {
    const toInstall: Dependency[] = []
    const toRemove: Dependency[] = []
    for (const dependency of this.universe.dependencies(candidate)) {
      if (!this.isImportant(dependency)) continue
      if (!spread && this.isFine(dependency)) continue
      ;(dependency.negative ? toRemove : toInstall).push(dependency)
    }
    return { toInstall, toRemove }
  }

  /** Drops what is refused and only marked; what is installed is upgraded, or else removed. */
  #refuse(toRemove: Dependency[], { spread, asked }: { spread: boolean; asked: boolean }) {
    const result = { failed: false, toUpgrade: [] as Package[], later: [] as Package[] }
    const bad = new Set<Package>()
    const goesOn = spread || asked
    for (const dependency of toRemove) {
      for (const { package: other, version } of this.solutions(dependency, 'candidate')) {
        const state = this.state(other)
        if (state.candidate !== version) continue
        if (other.current === version) {
          if (!this.#removeLater(other, spread, result.later)) result.failed = true
        } else if (state.mode === 'install' && !this.markKeep(other)) result.failed = true
        else if (spread) {
          state.candidate = state.install
          if (other.current === undefined) state.isProtected = true
        } else bad.add(other)
        if (result.failed && !goesOn) return result
      }
      for (const { package: other, version } of this.solutions(dependency, 'current')) {
        const state = this.state(other)
        if (state.candidate !== version && state.candidate !== undefined && !bad.has(other)) {
          result.toUpgrade.push(other)
        } else if (state.candidate !== version && !this.#removeLater(other, spread, result.later)) {
          result.failed = true
          if (!goesOn) return result
        }
      }
    }
    return result
  }

  #removeLater(other: Package, spread: boolean, later: Package[]): boolean {
    const state = this.state(other)
    if (!spread) {
      if (state.mode === 'delete') return true
      if (!this.#mayChange(other, 'delete') || !this.#mayDelete(other)) return false
      later.push(other)
      return true
    }
    if (state.mode !== 'delete' && !this.markDelete(other)) return false
    state.candidate = state.install
    state.isProtected = true
    return true
  }

  /** Installed packages that need the version that goes. */
  #dependants(of: Package, candidate: Candidate, known: Package[]): Package[] {
    const { current } = of
    if (current === undefined) return []
    const found = new Set<Package>()
    for (const dependency of this.#dependenciesOnInstalled().get(of) ?? []) {
      const { parent } = dependency
      if (this.state(parent).mode === 'install' || known.includes(parent)) continue
      const target = dependency.targets.find(one => one.package === of)
      if (!target || !this.isImportant(dependency)) continue
      if (meets(target, current.version) && !meets(target, candidate.version)) found.add(parent)
    }
    return [...found]
  }

  #dependenciesOnInstalled(): Map<Package, Dependency[]> {
    if (this.#reverse) return this.#reverse
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
    this.#reverse = reverse
    return reverse
  }

  /** apt upgrades installed packages of one source together (APT::Get::Upgrade-By-Source-Package). */
  #upgradeSameSource(of: Package, candidate: Candidate, depth: number): void {
    if (this.universe.installed().length === 0) return
    const ours = sourceOf(candidate)
    const others = this.universe.installed().filter(other => {
      const theirs = this.state(other)
      if (other === of || !theirs.candidate || other.current === theirs.candidate) return false
      if (theirs.mode === 'install' && theirs.install === theirs.candidate) return false
      const source = sourceOf(theirs.candidate)
      return source.name === ours.name && source.version === ours.version
    })
    for (const other of others) this.markInstall(other, { alone: true, depth: depth + 1 })
    for (const other of others) this.markInstall(other, { depth: depth + 1 })
  }

  #upgrade(
    packages: Package[],
    { spread, asked, depth }: { spread: boolean; asked: boolean; depth: number },
  ): boolean {
    let failed = false
    for (const other of packages) {
      if (this.state(other).mode === 'install' || this.markInstall(other, { depth: depth + 1 })) continue
      if (this.markDelete(other)) {
        if (spread) this.state(other).isProtected = true
        continue
      }
      failed = true
      if (!spread && !asked) break
    }
    return !failed
  }

  #installNeeds(
    of: Package,
    toInstall: Dependency[],
    { spread, asked, depth }: { spread: boolean; asked: boolean; depth: number },
  ): boolean {
    let failed = false
    for (const dependency of toInstall) {
      if (this.isFine(dependency)) {
        if (spread && dependency.critical && !this.#spread(dependency, depth)) failed = true
        continue
      }
      if (!dependency.critical && of.current && !this.#isNewWish(of.current, dependency)) continue
      if (this.#installOne(dependency, spread, depth) || !dependency.critical) continue
      failed = true
      if (!spread && !asked) break
    }
    return !failed
  }

  /** Something protected needs it, and only one package can give it: that one is protected, too. */
  #spread(dependency: Dependency, depth: number): boolean {
    const versions = [...this.solutions(dependency, 'candidate'), ...this.solutions(dependency, 'current')]
    const [first] = versions
    if (!first || versions.some(other => other.version !== first.version)) return true
    const state = this.state(first.package)
    if (state.isProtected) return true
    state.isProtected = true
    return this.markInstall(first.package, { depth: depth + 1 })
  }

  #installOne(dependency: Dependency, spread: boolean, depth: number): boolean {
    const solutions = this.solutions(dependency, 'candidate')
    for (const { package: other, version } of solutions) {
      const state = this.state(other)
      if (state.candidate !== version) continue
      if (spread && dependency.critical && solutions.length === 1) {
        if (!this.markInstall(other, { alone: true, depth: depth + 1 })) continue
        state.isProtected = true
      }
      if (this.markInstall(other, { depth: depth + 1 })) return true
    }
    return false
  }

  /** Of an installed package only those Recommends count that are new, or were met until now. */
  #isNewWish(current: Candidate, dependency: Dependency): boolean {
    const [first] = dependency.targets
    const olds = this.universe
      .dependencies(current)
      .filter(
        old =>
          !old.critical &&
          this.isImportant(old) &&
          old.targets.some(target => target.package === first?.package),
      )
    return olds.length === 0 || olds.some(old => this.isFine(old, 'current'))
  }

  /** All that meets the dependency, in apt's order: what is installed, then alternative by alternative, the best first. */
  solutions(
    dependency: Dependency,
    which: 'candidate' | 'current',
  ): { package: Package; version: Candidate }[] {
    const installed: { package: Package; version: Candidate }[] = []
    const others: { package: Package; version: Candidate }[] = []
    const seen = new Set<Candidate>()
    for (const target of dependency.targets) {
      const found = [...this.matches(dependency, target, which)]
      if (found.length > 1) found.sort((a, b) => this.#compare(target, a, b))
      for (const one of found) {
        if (seen.has(one.version)) continue
        seen.add(one.version)
        ;(one.package.current ? installed : others).push(one)
      }
    }
    const all = [...installed, ...others]
    return dependency.negative ? all : all.filter(one => !this.#isRuledOut(one.package))
  }

  #isRuledOut(of: Package): boolean {
    const { isProtected, mode } = this.state(of)
    return isProtected && (mode === 'delete' || (mode === 'keep' && of.current === undefined))
  }

  #compare(
    target: Target,
    a: { package: Package; version: Candidate },
    b: { package: Package; version: Candidate },
  ): number {
    const first = (test: (one: { package: Package; version: Candidate }) => boolean) =>
      Number(test(b)) - Number(test(a))
    return (
      first(one => this.state(one.package).isProtected) ||
      first(one => one.version.multiArch === 'same' && this.#isAnyArchitectureInstalled(one.package)) ||
      first(one => one.package.current !== undefined) ||
      first(one => !target.exact && one.package.name === target.package.name) ||
      first(one => one.package.essential) ||
      first(one => one.package.important) ||
      this.#rank(a.package) - this.#rank(b.package) ||
      a.version.priority - b.version.priority ||
      this.universe.compareOrder(b.package, a.package) ||
      b.package.id - a.package.id
    )
  }

  #rank(of: Package): number {
    return this.universe.architectures.indexOf(of.architecture)
  }

  #isAnyArchitectureInstalled({ name }: Package): boolean {
    return this.universe.architectures.some(
      architecture => this.universe.find(name, architecture)?.current !== undefined,
    )
  }
}

function tooDeep(of: Package): AirgapError {
  return new AirgapError('UNRESOLVABLE', `a chain of dependencies is longer than ${maxDepth} packages`, {
    item: of.versions[0] ? itemOf(of.versions[0]) : of.name,
    likely: 'an archive that contradicts itself, or one that is made to harm',
    next: 'ask by name for what is needed at the end of the chain, or leave the package out',
  })
}
