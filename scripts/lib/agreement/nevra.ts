import type { RpmCandidate } from '../../../src/kinds/rpm/candidate.ts'

/** `name-epoch:version-release.arch`, as dnf prints it and as modules list their artifacts. */
export function fullNevra({ name, epoch, version, release, architecture }: RpmCandidate): string {
  return `${name}-${epoch}:${version}-${release}.${architecture}`
}
