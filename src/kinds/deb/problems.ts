import type { Candidate } from './candidate.ts'
import { wantedOf } from './leftovers.ts'
import type { Marking } from './marking.ts'
import { makeScores } from './scores.ts'
import {
  type Dependency,
  isIgnorable,
  isIgnorableOffer,
  meets,
  type Package,
  type Target,
} from './universe.ts'
import { compareVersions } from './version.ts'

/** apt's own figure (pkgProblemResolver::MaxCounter). */
const maxRounds = 20

interface Removal {
  package: Package
  dependency: Dependency
}

/**
 * Mends what marking left broken, as pkgProblemResolver::ResolveInternal does (apt-pkg/algorithms.cc): from the package of
 * the highest score to that of the lowest, each broken one is held back, removed or upgraded, or what stands in its way is.
 * False where something remains broken.
 */
export function solveProblems(marking: Marking, asked: Set<Package>): boolean {
  return new Problems(marking, asked).solve()
}

class Problems {
  readonly #marking: Marking
  readonly #asked: Set<Package>
  readonly #scores: Map<Package, number>
  /** may still be upgraded to mend something else; each is tried once */
  readonly #tried = new Set<Package>()
  readonly #wanted: Set<Package>

  constructor(marking: Marking, asked: Set<Package>) {
    this.#marking = marking
    this.#asked = asked
    this.#scores = makeScores(marking, asked)
    this.#wanted = wantedOf(marking)
  }

  solve(): boolean {
    // in the order of the first scores, however they change
    const first = new Map(this.#scores)
    const marked = new Set(this.#marking.touched().filter(one => this.#marking.state(one).mode === 'install'))
    for (let round = 0; round < maxRounds; round++) {
      const ordered = [...this.#marking.touched()].sort(
        (a, b) => (first.get(b) ?? 0) - (first.get(a) ?? 0) || a.id - b.id,
      )
      let changed = false
      for (const one of ordered) {
        if (marked.has(one)) this.#reinstate(one)
        if (this.#mend(one, round)) changed = true
      }
      if (!changed) break
    }
    return this.#broken() === 0
  }

  #broken(): number {
    return this.#marking.touched().filter(one => this.#marking.isBroken(one)).length
  }

  #score(of: Package): number {
    return this.#scores.get(of) ?? 0
  }

  /** An upgrade that was held back may do by now. */
  #reinstate(one: Package): void {
    const marking = this.#marking
    const state = marking.state(one)
    if (!one.current || state.install === undefined || state.candidate === state.install || state.isProtected)
      return
    const before = this.#broken()
    marking.markInstall(one, { alone: true })
    if (marking.isBroken(one) || this.#broken() > before) marking.markKeep(one)
  }

  /** True where something was changed. */
  #mend(one: Package, round: number): boolean {
    const marking = this.#marking
    if (marking.state(one).install === undefined || !marking.isBroken(one)) return false
    const removals: Removal[] = []
    let changed = false
    for (const dependency of marking.universe.dependencies(marking.state(one).install!)) {
      if (!dependency.critical || marking.isFine(dependency)) continue
      const outcome = this.#mendDependency(one, { dependency, removals, round })
      if (outcome !== 'later') changed = true
      if (outcome === 'done') break
    }
    if (marking.state(one).install !== undefined && this.#remove(one, removals, round)) changed = true
    return changed
  }

  #mendDependency(
    one: Package,
    { dependency, removals, round }: { dependency: Dependency; removals: Removal[]; round: number },
  ): 'done' | 'changed' | 'later' {
    const marking = this.#marking
    const inGroup = dependency.targets.length > 1
    const before = removals.length
    let unwind: 'remove' | 'keep' = 'remove'
    let done = false
    for (const target of dependency.targets) {
      if (marking.isFine(dependency)) return 'changed'
      const versions = [...this.#allVersions(dependency, target)]
      if (versions.length === 0 && !dependency.negative && !marking.state(one).isProtected) {
        if (inGroup) continue
        marking.markKeep(one)
        return 'done'
      }
      for (const { package: other, version } of versions) {
        if (dependency.negative && marking.state(other).install !== version) continue
        const isNew = !dependency.negative && !marking.isFine(dependency, 'current')
        if (isNew || this.#score(one) <= this.#score(other)) {
          if (marking.state(one).isProtected) {
            if (!this.#upgrade(other)) continue
            this.#scores.set(other, Math.min(this.#score(other), this.#score(one)))
            break
          }
          const kept = this.#keepOrRemove(one, { other, target, inGroup, round })
          if (kept) unwind = 'keep'
          done = true
          break
        }
        const { isProtected, mode } = marking.state(other)
        if (isProtected && mode !== 'delete') continue
        if (dependency.type === 'breaks' && this.#wouldHelp(dependency)) {
          marking.markInstall(other, { alone: true })
          continue
        }
        removals.push({ package: other, dependency })
        if (!dependency.negative) break
      }
      if (done && !inGroup) return 'done'
    }
    if (inGroup && before === removals.length && !marking.isFine(dependency)) {
      if (unwind === 'keep') marking.markKeep(one)
      else if (!marking.state(one).isProtected) marking.markDelete(one)
      return 'changed'
    }
    return done ? 'changed' : 'later'
  }

  /** Every version that would meet the target, or is refused by it: what is there, what could be, and all others. */
  *#allVersions(dependency: Dependency, target: Target): Generator<{ package: Package; version: Candidate }> {
    if (!isIgnorable(dependency, target)) {
      for (const version of target.package.versions)
        if (meets(target, version.version)) yield { package: target.package, version }
    }
    for (const offer of this.#marking.universe.offersTo(target)) {
      if (!isIgnorableOffer(dependency, target, offer) && meets(target, offer.version))
        yield { package: offer.owner, version: offer.candidate }
    }
  }

  #wouldHelp(dependency: Dependency): boolean {
    return this.#marking.isFine(dependency, 'candidate')
  }

  /** True where keeping it as it is mends it. */
  #keepOrRemove(
    one: Package,
    { other, target, inGroup, round }: { other: Package; target: Target; inGroup: boolean; round: number },
  ): boolean {
    const marking = this.#marking
    const wasMarked = marking.state(one).mode === 'install'
    marking.markKeep(one)
    if (!marking.isBroken(one)) {
      if (inGroup && wasMarked) marking.markInstall(one, { alone: true })
      return true
    }
    if (this.#upgrade(one)) return false
    if (!inGroup || !this.#wanted.has(one)) {
      marking.markDelete(one)
      if (round > 0 && this.#score(other) > this.#score(one)) this.#scores.set(one, this.#score(other))
    } else if (!target.package.current && marking.state(target.package).candidate) {
      const brokenBefore = this.#broken()
      marking.markInstall(target.package, { depth: 1 })
      if (marking.isBroken(target.package) || this.#broken() > brokenBefore)
        marking.markDelete(target.package)
    }
    return false
  }

  #remove(one: Package, removals: Removal[], round: number): boolean {
    const marking = this.#marking
    let changed = false
    for (const { package: other, dependency } of removals) {
      const helps = marking.isFine(dependency, 'current')
        ? marking.markKeep(other)
        : dependency.negative && marking.markDelete(other)
      if (helps) changed = true
      if ((!helps || round > 0) && this.#score(one) > this.#score(other)) {
        this.#scores.set(other, this.#score(one))
        changed = true
      }
    }
    return changed
  }

  /** pkgProblemResolver::DoUpgrade: the candidate, if all that it needs can be brought along. */
  #upgrade(one: Package): boolean {
    const marking = this.#marking
    const state = marking.state(one)
    if (!isUpgradable(one, state.candidate) || this.#tried.has(one) || this.#asked.has(one)) return false
    this.#tried.add(one)
    const wasKept = state.mode === 'keep'
    if (!marking.markInstall(one, { alone: true }) || !state.install) return false
    for (const dependency of marking.universe.dependencies(state.install)) {
      if (!dependency.critical || marking.isFine(dependency) || this.#upgradeFor(dependency)) continue
      if (wasKept) marking.markKeep(one)
      else marking.markDelete(one)
      return false
    }
    return true
  }

  #upgradeFor(dependency: Dependency): boolean {
    const marking = this.#marking
    return dependency.targets.some(target => {
      const [provider] = marking.matches(dependency, target, 'candidate')
      const other =
        target.package.versions.length > 0 ? target.package : (provider?.package ?? target.package)
      if (marking.state(other).isProtected) return false
      if (marking.isFine({ ...dependency, targets: [target] }, 'candidate')) return this.#upgrade(other)
      // what is refused is dealt with in the next round
      return dependency.negative
    })
  }
}

function isUpgradable({ current }: Package, candidate: Candidate | undefined): boolean {
  if (candidate === undefined) return false
  return current === undefined || compareVersions(candidate.version, current.version) > 0
}
