import { AirgapError } from '../../core/errors.ts'
import type { BaseSystem, InstalledPackage } from '../package-entry.ts'
import type { PackageGroup, RpmCandidate } from './candidate.ts'
import type { PackageList } from './package-list.ts'
import { parseEvr } from './rich.ts'

export interface BaseContext {
  lists: readonly PackageList[]
  architecture: string
}

/**
 * The installed packages of a machine, from a list. Provides and Requires are known where a repository has exactly the same
 * version; otherwise only `name = evr`.
 */
export function installedPackages(
  packages: readonly InstalledPackage[],
  { lists, architecture }: BaseContext,
): RpmCandidate[] {
  return packages
    .filter(
      one =>
        one.architecture === architecture || one.architecture === 'noarch' || isNarrow(one, architecture),
    )
    .map(({ name, version: evr, architecture: own }) => {
      const { epoch = '0', version, release = '' } = parseEvr(evr)
      const self = { name, epoch, version, release, architecture: own }
      const same = lists
        .flatMap(list => Array.from(list.named(name), at => list.candidate(at)))
        .findLast(one => keyOf(one) === keyOf(self))
      // a copy: to the solver, the installed package and the repository's are different
      if (same) return { ...same }
      return {
        ...self,
        repository: -1,
        location: '',
        size: 0,
        checksum: { type: 'sha256', hex: '' },
        headerRange: { start: 0, end: 0 },
        provides: [{ name, flags: 'EQ', epoch, version, release }],
        requires: [],
        conflicts: [],
        obsoletes: [],
        recommends: [],
        supplements: [],
        suggests: [],
        enhances: [],
        files: [],
        primary: { offset: 0, length: 0 },
      }
    })
}

function isNarrow(one: InstalledPackage, architecture: string): boolean {
  return architecture === 'x86_64' && /^i[3-6]86$/.test(one.architecture)
}

function keyOf(one: Pick<RpmCandidate, 'name' | 'epoch' | 'version' | 'release' | 'architecture'>): string {
  return `${one.name}-${one.epoch}:${one.version}-${one.release}.${one.architecture}`
}

/** Requests for the packages of a fresh installation, according to the release's own comps.xml. */
export function namedBase(
  base: Extract<BaseSystem, { type: 'named' }>,
  { groups, at }: { groups: readonly PackageGroup[]; at: string },
): string[] {
  const environments: Record<typeof base.name, string[]> = {
    minimal: ['minimal-environment', 'core'],
    server: ['server-product-environment', 'minimal-environment', 'core'],
    cloud: ['core'],
  }
  const found = environments[base.name].find(id => groups.some(group => group.id === id))
  if (found !== undefined) return [`@${found}`, ...(base.name === 'cloud' ? ['cloud-init'] : [])]
  throw new AirgapError('UNRESOLVABLE', `cannot determine the packages of a ${base.name} installation`, {
    item: at,
    likely:
      groups.length === 0
        ? 'none of the repositories has groups (comps.xml)'
        : `no repository has the group ${environments[base.name].join(' or ')}`,
    next: 'add the repository that has it (BaseOS), or set base: none or a list of the installed packages',
  })
}
