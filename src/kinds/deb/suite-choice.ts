import type { Candidate } from './candidate.ts'
import type { DepCache } from './dep-cache.ts'
import { type Dependency, meets } from './universe.ts'

/**
 * Makes the version of `package/suite` the candidate, and from the same suite each dependency that no other candidate
 * satisfies (apt-get(8), "install"; pkgDepCache::SetCandidateRelease).
 */
export function preferSuite(depCache: DepCache, version: Candidate, suite: string): void {
  const seen = new Set<Candidate>()
  const open = [version]
  for (const one of open) {
    if (seen.has(one)) continue
    seen.add(one)
    depCache.setCandidate(depCache.universe.ownerOf(one), one)
    for (const dependency of depCache.universe.dependencies(one)) {
      if (dependency.negative || !depCache.isImportant(dependency)) continue
      if (depCache.isSatisfied(dependency, 'candidate') || depCache.isSatisfied(dependency, 'current'))
        continue
      const other = fromSuite(depCache, dependency, suite)
      if (other) open.push(other)
    }
  }
}

function fromSuite(depCache: DepCache, { targets }: Dependency, suite: string): Candidate | undefined {
  for (const target of targets) {
    const found = target.package.versions.find(version => depCache.universe.isIn(version, suite))
    if (found && meets(target, found.version)) return found
  }
  return undefined
}
