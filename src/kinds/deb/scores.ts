import type { Marking } from './marking.ts'
import type { Dependency, Package } from './universe.ts'

const ofPriority = [0, 3, 2, 1, -1, -2]
const ofEssential = 100
const ofInstalled = 1
const addedWhereAskedFor = 10_000
const addedWhereEssential = 5_000

/** What a package counts for where two cannot stand together: pkgProblemResolver::MakeScores (apt-pkg/algorithms.cc). */
export function makeScores(marking: Marking, asked: Set<Package>): Map<Package, number> {
  const scores = new Map<Package, number>()
  const add = (of: Package, points: number) => {
    if (points !== 0) scores.set(of, (scores.get(of) ?? 0) + points)
  }
  const present = marking.touched().filter(of => marking.state(of).install !== undefined)
  for (const of of present) {
    const state = marking.state(of)
    const version = state.install!
    if (of.essential || of.important) add(of, ofEssential)
    add(of, version.source < 0 ? ofPriority.at(-1)! : (ofPriority[version.priority] ?? 0))
    if (of.current && state.candidate && state.candidate.source >= 0) add(of, ofInstalled)
    for (const dependency of marking.universe.dependencies(version)) {
      const points = pointsOf(dependency)
      if (points !== 0) for (const other of scored(marking, dependency)) add(other, points)
    }
  }
  const before = new Map(scores)
  for (const of of present) {
    const own = before.get(of) ?? 0
    if (own <= 0) continue
    for (const dependency of marking.universe.dependencies(marking.state(of).install!)) {
      if (dependency.negative || dependency.type === 'suggests') continue
      for (const target of dependency.targets) {
        if (marking.state(target.package).install) add(target.package, own)
      }
    }
  }
  const gained = present.map(of => [of, Math.abs((scores.get(of) ?? 0) - (before.get(of) ?? 0))] as const)
  for (const [of, transfer] of gained) {
    if (transfer === 0) continue
    const owners = new Set(
      marking.universe
        .offers(of)
        .filter(offer => marking.state(offer.owner).install === offer.candidate)
        .map(offer => offer.owner),
    )
    for (const owner of owners) add(owner, transfer)
  }
  for (const of of asked) add(of, addedWhereAskedFor)
  for (const of of present) if (of.essential || of.important) add(of, addedWhereEssential)
  return scores
}

function pointsOf({ negative, type }: Dependency): number {
  if (negative) return -1
  return type === 'suggests' ? 0 : 1
}

/** The named package, also where nothing says its version, and whoever provides it. */
function* scored(marking: Marking, dependency: Dependency): Generator<Package> {
  for (const target of dependency.targets) {
    const found = new Set([...marking.matches(dependency, target, 'install')].map(one => one.package))
    if (
      target.relation.operator === undefined &&
      !(dependency.negative && target.package === dependency.parent)
    )
      found.add(target.package)
    yield* found
  }
}
