import type { RpmCandidate } from './candidate.ts'

/** Packages by position, and where to find them: those of one repository, of a machine, … Every list of positions is ascending. */
export interface PackageList {
  readonly length: number
  /** Returns the same object each time. */
  candidate(at: number): RpmCandidate
  /** Returns the position of an object that `candidate` returned; negative for any other. */
  positionOf(candidate: RpmCandidate): number
  nameAt(at: number): string
  architectureAt(at: number): string
  named(name: string): Iterable<number>
  /** those whose Provides has the name, or that have it themselves */
  providing(name: string): Iterable<number>
  /** those that primary.xml says have the file */
  owning(path: string): Iterable<number>
  /** those whose Obsoletes has the name */
  obsoleting(name: string): Iterable<number>
  /** those that have Supplements */
  supplementing(): Iterable<number>
}

/** A list of packages that are in memory. */
export function listOf(candidates: readonly RpmCandidate[]): PackageList {
  const positions = new Map(candidates.map((one, at) => [one, at]))
  const byName = indexOf(candidates, one => [one.name])
  // libsolv adds it where a package does not provide its own name
  const byProvides = indexOf(candidates, one => [one.name, ...one.provides.map(({ name }) => name)])
  const byObsoletes = indexOf(candidates, one => one.obsoletes.map(({ name }) => name))
  let byFile: Map<string, number[]> | undefined
  return {
    length: candidates.length,
    candidate: at => candidates[at]!,
    positionOf: candidate => positions.get(candidate) ?? -1,
    nameAt: at => candidates[at]!.name,
    architectureAt: at => candidates[at]!.architecture,
    named: name => byName.get(name) ?? [],
    providing: name => byProvides.get(name) ?? [],
    owning: path => (byFile ??= indexOf(candidates, one => one.files)).get(path) ?? [],
    obsoleting: name => byObsoletes.get(name) ?? [],
    supplementing: () => candidates.flatMap(({ supplements }, at) => (supplements.length > 0 ? [at] : [])),
  }
}

function indexOf(
  candidates: readonly RpmCandidate[],
  keysOf: (candidate: RpmCandidate) => readonly string[],
): Map<string, number[]> {
  const index = new Map<string, number[]>()
  for (const [at, one] of candidates.entries()) {
    for (const key of keysOf(one)) {
      const list = index.get(key)
      if (list === undefined) index.set(key, [at])
      else if (list[list.length - 1] !== at) list.push(at)
    }
  }
  return index
}
