import type { Candidate } from './candidate.ts'
import type { Marking } from './marking.ts'
import { type Dependency, meets } from './universe.ts'

/**
 * `package/suite`: that version, and from the same suite what it needs in a version that would not be taken otherwise
 * (apt-get(8), "install"; pkgDepCache::SetCandidateRelease).
 */
export function preferSuite(marking: Marking, version: Candidate, suite: string): void {
  const seen = new Set<Candidate>()
  const open = [version]
  for (const one of open) {
    if (seen.has(one)) continue
    seen.add(one)
    marking.setCandidate(marking.universe.ownerOf(one), one)
    for (const dependency of marking.universe.dependencies(one)) {
      if (dependency.negative || !marking.isImportant(dependency)) continue
      if (marking.isFine(dependency, 'candidate') || marking.isFine(dependency, 'current')) continue
      const other = fromSuite(marking, dependency, suite)
      if (other) open.push(other)
    }
  }
}

function fromSuite(marking: Marking, { targets }: Dependency, suite: string): Candidate | undefined {
  for (const target of targets) {
    const found = target.package.versions.find(version => marking.universe.isIn(version, suite))
    if (found && meets(target, found.version)) return found
  }
  return undefined
}
