import { compareVersions } from '../../core/debian-version.ts'
import { markRequired } from './auto-remove.ts'
import type { Candidate } from './candidate.ts'
import type { DepCache } from './dep-cache.ts'
import { makeScores } from './make-scores.ts'
import { markInstall } from './mark-install.ts'
import type { Package } from './package.ts'
import { type Dependency, isIgnorable, isIgnorableOffer, meets, type Target } from './universe.ts'

/** pkgProblemResolver::MaxCounter */
const maxRounds = 20

/** PackageKill: a package that may have to go so that the one at hand can stay. */
interface PackageKill {
  package: Package
  dependency: Dependency
}

/**
 * Repairs what marking left broken (pkgProblemResolver::ResolveInternal, apt-pkg/algorithms.cc): in order of descending
 * score, each broken package is kept back, removed or upgraded, or the packages that it conflicts with are.
 * Returns false where something remains broken.
 */
export function resolveProblems(depCache: DepCache, requested: Set<Package>): boolean {
  return new ProblemResolver(depCache, requested).resolve()
}

class ProblemResolver {
  readonly #depCache: DepCache
  readonly #requested: Set<Package>
  readonly #scores: Map<Package, number>
  /** already tried as an upgrade that repairs something else (the flag Upgradable, cleared) */
  readonly #tried = new Set<Package>()
  readonly #required: Set<Package>

  constructor(depCache: DepCache, requested: Set<Package>) {
    this.#depCache = depCache
    this.#requested = requested
    this.#scores = makeScores(depCache, requested)
    this.#required = markRequired(depCache)
  }

  resolve(): boolean {
    // sorted once: later changes of scores do not change the order
    const first = new Map(this.#scores)
    const marked = new Set(
      this.#depCache.touched().filter(one => this.#depCache.state(one).mode === 'install'),
    )
    for (let round = 0; round < maxRounds; round++) {
      const ordered = [...this.#depCache.touched()].sort(
        (a, b) => (first.get(b) ?? 0) - (first.get(a) ?? 0) || a.id - b.id,
      )
      let changed = false
      for (const one of ordered) {
        if (marked.has(one)) this.#reinstate(one)
        if (this.#repair(one, round)) changed = true
      }
      if (!changed) break
    }
    return this.#brokenCount() === 0
  }

  #brokenCount(): number {
    return this.#depCache.touched().filter(one => this.#depCache.isBroken(one)).length
  }

  #score(of: Package): number {
    return this.#scores.get(of) ?? 0
  }

  /** An upgrade that was kept back may be possible by now. */
  #reinstate(one: Package): void {
    const depCache = this.#depCache
    const state = depCache.state(one)
    if (!one.current || state.install === undefined || state.candidate === state.install || state.isProtected)
      return
    const before = this.#brokenCount()
    markInstall(depCache, one, { autoInst: false })
    if (depCache.isBroken(one) || this.#brokenCount() > before) depCache.markKeep(one)
  }

  /** Returns whether something was changed. */
  #repair(one: Package, round: number): boolean {
    const depCache = this.#depCache
    if (depCache.state(one).install === undefined || !depCache.isBroken(one)) return false
    const kills: PackageKill[] = []
    let changed = false
    for (const dependency of depCache.universe.dependencies(depCache.state(one).install!)) {
      if (!dependency.critical || depCache.isSatisfied(dependency)) continue
      const outcome = this.#repairDependency(one, { dependency, kills, round })
      if (outcome !== 'unchanged') changed = true
      if (outcome === 'done') break
    }
    if (depCache.state(one).install !== undefined && this.#applyKills(one, kills, round)) changed = true
    return changed
  }

  #repairDependency(
    one: Package,
    { dependency, kills, round }: { dependency: Dependency; kills: PackageKill[]; round: number },
  ): 'done' | 'changed' | 'unchanged' {
    const depCache = this.#depCache
    const inOrGroup = dependency.targets.length > 1
    const before = kills.length
    let unwind: 'remove' | 'keep' = 'remove'
    let done = false
    for (const target of dependency.targets) {
      if (depCache.isSatisfied(dependency)) return 'changed'
      const versions = [...this.#allVersions(dependency, target)]
      if (versions.length === 0 && !dependency.negative && !depCache.state(one).isProtected) {
        if (inOrGroup) continue
        depCache.markKeep(one)
        return 'done'
      }
      for (const { package: other, version } of versions) {
        if (dependency.negative && depCache.state(other).install !== version) continue
        const isNew = !dependency.negative && !depCache.isSatisfied(dependency, 'current')
        if (isNew || this.#score(one) <= this.#score(other)) {
          if (depCache.state(one).isProtected) {
            if (!this.#doUpgrade(other)) continue
            this.#scores.set(other, Math.min(this.#score(other), this.#score(one)))
            break
          }
          const kept = this.#keepOrRemove(one, { other, target, inOrGroup, round })
          if (kept) unwind = 'keep'
          done = true
          break
        }
        const { isProtected, mode } = depCache.state(other)
        if (isProtected && mode !== 'delete') continue
        if (dependency.type === 'breaks' && this.#candidateSatisfies(dependency)) {
          markInstall(depCache, other, { autoInst: false })
          continue
        }
        kills.push({ package: other, dependency })
        if (!dependency.negative) break
      }
      if (done && !inOrGroup) return 'done'
    }
    if (inOrGroup && before === kills.length && !depCache.isSatisfied(dependency)) {
      if (unwind === 'keep') depCache.markKeep(one)
      else if (!depCache.state(one).isProtected) depCache.markDelete(one)
      return 'changed'
    }
    return done ? 'changed' : 'unchanged'
  }

  /** AllTargets: every version that satisfies the target, or that a negative one excludes, whatever is planned. */
  *#allVersions(dependency: Dependency, target: Target): Generator<{ package: Package; version: Candidate }> {
    if (!isIgnorable(dependency, target)) {
      for (const version of target.package.versions)
        if (meets(target, version.version)) yield { package: target.package, version }
    }
    for (const offer of this.#depCache.universe.offersTo(target)) {
      if (!isIgnorableOffer(dependency, target, offer) && meets(target, offer.version))
        yield { package: offer.owner, version: offer.candidate }
    }
  }

  #candidateSatisfies(dependency: Dependency): boolean {
    return this.#depCache.isSatisfied(dependency, 'candidate')
  }

  /** Returns whether keeping the installed version repairs the package. */
  #keepOrRemove(
    one: Package,
    {
      other,
      target,
      inOrGroup,
      round,
    }: { other: Package; target: Target; inOrGroup: boolean; round: number },
  ): boolean {
    const depCache = this.#depCache
    const wasMarked = depCache.state(one).mode === 'install'
    depCache.markKeep(one)
    if (!depCache.isBroken(one)) {
      if (inOrGroup && wasMarked) markInstall(depCache, one, { autoInst: false })
      return true
    }
    if (this.#doUpgrade(one)) return false
    if (!inOrGroup || !this.#required.has(one)) {
      depCache.markDelete(one)
      if (round > 0 && this.#score(other) > this.#score(one)) this.#scores.set(one, this.#score(other))
    } else if (!target.package.current && depCache.state(target.package).candidate) {
      const brokenBefore = this.#brokenCount()
      markInstall(depCache, target.package, { depth: 1 })
      if (depCache.isBroken(target.package) || this.#brokenCount() > brokenBefore)
        depCache.markDelete(target.package)
    }
    return false
  }

  #applyKills(one: Package, kills: PackageKill[], round: number): boolean {
    const depCache = this.#depCache
    let changed = false
    for (const { package: other, dependency } of kills) {
      const helps = depCache.isSatisfied(dependency, 'current')
        ? depCache.markKeep(other)
        : dependency.negative && depCache.markDelete(other)
      if (helps) changed = true
      if ((!helps || round > 0) && this.#score(one) > this.#score(other)) {
        this.#scores.set(other, this.#score(one))
        changed = true
      }
    }
    return changed
  }

  /** pkgProblemResolver::DoUpgrade: installs the candidate if all its dependencies can be upgraded with it. */
  #doUpgrade(one: Package): boolean {
    const depCache = this.#depCache
    const state = depCache.state(one)
    if (!isUpgradable(one, state.candidate) || this.#tried.has(one) || this.#requested.has(one)) return false
    this.#tried.add(one)
    const wasKept = state.mode === 'keep'
    if (!markInstall(depCache, one, { autoInst: false }) || !state.install) return false
    for (const dependency of depCache.universe.dependencies(state.install)) {
      if (!dependency.critical || depCache.isSatisfied(dependency) || this.#doUpgradeFor(dependency)) continue
      if (wasKept) depCache.markKeep(one)
      else depCache.markDelete(one)
      return false
    }
    return true
  }

  #doUpgradeFor(dependency: Dependency): boolean {
    const depCache = this.#depCache
    return dependency.targets.some(target => {
      const [provider] = depCache.matches(dependency, target, 'candidate')
      const other =
        target.package.versions.length > 0 ? target.package : (provider?.package ?? target.package)
      if (depCache.state(other).isProtected) return false
      if (depCache.isSatisfied({ ...dependency, targets: [target] }, 'candidate'))
        return this.#doUpgrade(other)
      // a conflict is repaired in the next round
      return dependency.negative
    })
  }
}

function isUpgradable({ current }: Package, candidate: Candidate | undefined): boolean {
  if (candidate === undefined) return false
  return current === undefined || compareVersions(candidate.version, current.version) > 0
}
