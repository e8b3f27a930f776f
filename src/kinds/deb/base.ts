import { compareVersions } from '../../core/debian-version.ts'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { mediaTypes } from '../../core/media-types.ts'
import type { BaseSystem, InstalledPackage } from '../package-entry.ts'
import type { Candidate } from './candidate.ts'
import { closureOf } from './closure.ts'
import type { PackageList } from './package-list.ts'
import { Universe } from './universe.ts'

/** `minimal` ⊂ `server` ⊂ `cloud`. Without Recommends: a package that some of these installations lack must be carried. */
const debian = {
  minimal: [],
  server: ['openssh-server', 'sudo'],
  cloud: ['openssh-server', 'sudo', 'cloud-init'],
} as const
const ubuntu = {
  minimal: ['ubuntu-minimal'],
  server: ['ubuntu-minimal', 'ubuntu-standard', 'ubuntu-server'],
  cloud: ['ubuntu-minimal', 'ubuntu-standard', 'ubuntu-server', 'openssh-server', 'cloud-init'],
} as const

interface BaseOptions {
  architecture: string
  foreign: string[]
  at: string
}

/** Returns the packages that the machines already have, as apt would read them from their dpkg status. */
export function baseOf(base: BaseSystem, lists: readonly PackageList[], options: BaseOptions): Candidate[] {
  switch (base.type) {
    case 'none':
      return []
    case 'named':
      return namedBase(base.name, lists, options)
    case 'list':
      return listedBase(base.packages, lists, options)
  }
}

/**
 * The packages of a fresh installation of the release: in Debian the essential, required and important ones (debootstrap) and
 * for a server also the standard ones (tasksel); in Ubuntu the seeds, which are packages there. Versions are those of the
 * first source, because the machines may have been installed from the release and never updated.
 */
function namedBase(
  name: 'minimal' | 'server' | 'cloud',
  lists: readonly PackageList[],
  { architecture, at }: BaseOptions,
): Candidate[] {
  const first = lists.filter(list => list.source === 0)
  const universe = new Universe(first, { architecture })
  const isUbuntu = universe.find('ubuntu-minimal') !== undefined
  const least = isUbuntu ? 1 : name === 'minimal' ? 2 : 3
  const own = first
    .flatMap(list => [...list.basic(least)])
    .filter(one => one.architecture === 'all' || one.architecture === architecture)
  const seeds = (isUbuntu ? ubuntu : debian)[name].filter(seed => universe.find(seed) !== undefined)
  if (!own.some(one => one.essential)) {
    throw new AirgapError(
      'UNRESOLVABLE',
      `cannot determine the base system ${name}: the first source has no essential packages`,
      {
        item: at,
        likely:
          'the first source of the entry is not the distribution’s own release, or lacks the component main',
        next: 'list the release first (jammy before jammy-updates and other archives), or set base: none',
      },
    )
  }
  const names = [...new Set([...own.map(one => one.name), ...seeds])].sort()
  return closureOf(universe, { names, recommends: false, at: `${at} (base: ${name})` }).map(
    selected => selected.candidate,
  )
}

/** A version that no source has any longer becomes a placeholder with its Provides: it is installed, so its own dependencies are satisfied. */
function listedBase(
  packages: InstalledPackage[],
  lists: readonly PackageList[],
  { architecture, foreign }: BaseOptions,
): Candidate[] {
  const here = new Set(['all', architecture, ...foreign])
  const wanted = packages.filter(one => here.has(one.architecture))
  return wanted.map(one => {
    const known = lists.flatMap(list => list.versionsOf(one.name))
    return known.find(candidate => isSame(candidate, one)) ?? placeholder(one, known)
  })
}

function isSame(candidate: Candidate, { version, architecture }: InstalledPackage): boolean {
  return candidate.version === version && candidate.architecture === architecture
}

function placeholder({ name, version, architecture }: InstalledPackage, known: Candidate[]): Candidate {
  const [nearest] = known
    .filter(one => one.architecture === architecture || one.architecture === 'all' || architecture === 'all')
    .sort((a, b) => distance(a, version) - distance(b, version) || compareVersions(b.version, a.version))
  return {
    name,
    version,
    architecture,
    source: -1,
    component: '',
    filename: '',
    size: -1,
    sha256: '',
    essential: nearest?.essential ?? false,
    priority: nearest?.priority ?? 5,
    ...defined({ multiArch: nearest?.multiArch, provides: nearest?.provides }),
    stanza: {
      index: { mediaType: mediaTypes.octets, digest: `sha256:${'0'.repeat(64)}`, size: 0 },
      offset: 0,
      length: 0,
    },
  }
}

/** An older version is a better guide to what was provided than a newer one. */
function distance(candidate: Candidate, version: string): number {
  return compareVersions(candidate.version, version) <= 0 ? 0 : 1
}
