import type { OsRelease } from './os-release.ts'

/** Distributions with RHEL-compatible packages, for releases without a PLATFORM_ID (version 7). */
const rhelFamily = ['rhel', 'centos', 'rocky', 'almalinux', 'ol']

/**
 * Returns the names that the package repository of a machine may have, best first: its exact release (`rocky-9.4`,
 * `ubuntu-22.04`), its major release (`rocky-9`, `debian-12`), its code name (`debian-trixie`), and for the RHEL family the
 * name that all its members share (`el9`).
 */
export function repositoryNames({ id, like = [], version, codename, platform }: OsRelease): string[] {
  const major = version?.split('.')[0]
  const shared = /^platform:(el[0-9]+)$/.exec(platform ?? '')?.[1]
  // other platforms (`platform:f40`, `platform:al2023`) have ID_LIKE=rhel too, but its packages do not fit them
  const isRhel = platform === undefined && (rhelFamily.includes(id) || like.includes('rhel'))
  const names = [
    version === undefined ? [] : [`${id}-${version}`, `${id}-${major}`],
    codename === undefined ? [] : [`${id}-${codename}`],
    shared === undefined ? [] : [shared],
    isRhel && major !== undefined ? [`el${major}`] : [],
  ].flat()
  return [...new Set(names)]
}

/**
 * Returns the available repository that serves a machine, or undefined. The only place that decides this: for the entries of a
 * manifest (`airgap lock --site`), for preflight, and for the package sources of the machines and of this host, which
 * gets others besides (site/host-files.ts).
 */
export function repositoryFor(os: OsRelease, available: Iterable<string>): string | undefined {
  const known = new Set(available)
  return repositoryNames(os).find(name => known.has(name))
}
