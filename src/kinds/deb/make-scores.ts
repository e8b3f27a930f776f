import type { DepCache } from './dep-cache.ts'
import type { Package } from './package.ts'
import type { Dependency } from './universe.ts'

/** by the field Priority: none, required, important, standard, optional, extra */
const prioMap = [0, 3, 2, 1, -1, -2]
const prioEssentials = 100
const prioInstalledAndNotObsolete = 1
const addProtected = 10_000
const addEssential = 5_000

/** Weighs packages against each other where they conflict (pkgProblemResolver::MakeScores, apt-pkg/algorithms.cc). */
export function makeScores(depCache: DepCache, requested: Set<Package>): Map<Package, number> {
  const scores = new Map<Package, number>()
  const add = (of: Package, points: number) => {
    if (points !== 0) scores.set(of, (scores.get(of) ?? 0) + points)
  }
  const present = depCache.touched().filter(of => depCache.state(of).install !== undefined)
  for (const of of present) {
    const state = depCache.state(of)
    const version = state.install!
    if (of.essential || of.important) add(of, prioEssentials)
    add(of, version.source < 0 ? prioMap.at(-1)! : (prioMap[version.priority] ?? 0))
    if (of.current && state.candidate && state.candidate.source >= 0) add(of, prioInstalledAndNotObsolete)
    for (const dependency of depCache.universe.dependencies(version)) {
      const points = pointsOf(dependency)
      if (points !== 0) for (const other of scored(depCache, dependency)) add(other, points)
    }
  }
  const before = new Map(scores)
  for (const of of present) {
    const own = before.get(of) ?? 0
    if (own <= 0) continue
    for (const dependency of depCache.universe.dependencies(depCache.state(of).install!)) {
      if (dependency.negative || dependency.type === 'suggests') continue
      for (const target of dependency.targets) {
        if (depCache.state(target.package).install) add(target.package, own)
      }
    }
  }
  const gained = present.map(of => [of, Math.abs((scores.get(of) ?? 0) - (before.get(of) ?? 0))] as const)
  for (const [of, transfer] of gained) {
    if (transfer === 0) continue
    const owners = new Set(
      depCache.universe
        .offers(of)
        .filter(offer => depCache.state(offer.owner).install === offer.candidate)
        .map(offer => offer.owner),
    )
    for (const owner of owners) add(owner, transfer)
  }
  for (const of of requested) add(of, addProtected)
  for (const of of present) if (of.essential || of.important) add(of, addEssential)
  return scores
}

function pointsOf({ negative, type }: Dependency): number {
  if (negative) return -1
  return type === 'suggests' ? 0 : 1
}

/** The providers of each target, and the named package where the dependency has no version. */
function* scored(depCache: DepCache, dependency: Dependency): Generator<Package> {
  for (const target of dependency.targets) {
    const found = new Set([...depCache.matches(dependency, target, 'install')].map(one => one.package))
    if (
      target.relation.operator === undefined &&
      !(dependency.negative && target.package === dependency.parent)
    )
      found.add(target.package)
    yield* found
  }
}
