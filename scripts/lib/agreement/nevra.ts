import type { RpmCandidate } from '../../../src/kinds/rpm/candidate.ts'

/** Returns `name-epoch:version-release.arch`, the form of dnf's output and of the artifacts of modules. */
export function fullNevra({ name, epoch, version, release, architecture }: RpmCandidate): string {
  return `${name}-${epoch}:${version}-${release}.${architecture}`
}
