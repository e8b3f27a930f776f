import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { withoutTrailing } from '../core/trim.ts'
import type { SiteCaPlace } from '../kinds/client-file.ts'
import { type OsRelease, readOsRelease } from '../probe/os-release.ts'
import { repositoryFor } from '../probe/repository-name.ts'
import type { ClientFile } from './client-files.ts'

/**
 * Returns the client files for the machine whose root is `root`: package sources of another release would break its apt or
 * dnf, so it gets those of its own release, with the keys that they name.
 */
export async function filesForHost(
  files: readonly ClientFile[],
  { root }: { root: string },
): Promise<ClientFile[]> {
  const has = (folder: string) => isFolder(join(root, folder))
  const [release, hasApt, hasDnf, ...caPlaces] = await Promise.all([
    readOsRelease(root),
    has('etc/apt'),
    has('etc/yum.repos.d'),
    ...Object.values(caFolders).map(has),
  ])
  const places = new Set(Object.keys(caFolders).filter((_, i) => caPlaces[i]))
  const apt = release && hasApt ? aptRepositories(files, release) : new Set<string>()
  const dnf = release && hasDnf ? dnfRepositories(files, release) : new Set<string>()
  return files.filter(file => isMeant(file, { apt, dnf, places }))
}

/** Whether a repository is for this release; undefined where neither its name nor its suites name a release. */
type Fit = boolean | undefined

/** Those of this release, and those that name none if no other release has repositories. */
function fitting(fits: ReadonlyMap<string, Fit>): Set<string> {
  const oneRelease = ![...fits.values()].includes(false)
  return new Set([...fits].flatMap(([name, fit]) => ((fit ?? oneRelease) ? [name] : [])))
}

/** An entry may have any name (`docker`): its suites name the release, unless it is flat. */
function aptRepositories(files: readonly ClientFile[], release: OsRelease): Set<string> {
  const sources = files.filter(file => file.kind === 'apt-sources')
  const named = repositoryFor(
    release,
    sources.map(({ repository }) => repository),
  )
  const fits = sources.map(({ repository, text }): [string, Fit] => {
    const releases = suitesOf(text).flatMap(suite => codenameOf(suite) ?? [])
    const known = release.codename !== undefined && releases.length > 0
    if (repository === named) return [repository, true]
    if (known) return [repository, releases.includes(release.codename ?? '')]
    return [repository, releases.length > 0 || releaseName.test(repository) ? false : undefined]
  })
  return fitting(new Map(fits))
}

/** One of those that are named after a release: `rocky-9.4` has all that this machine needs of `el9`. */
function dnfRepositories(files: readonly ClientFile[], release: OsRelease): Set<string> {
  const names = files.flatMap(file => (file.kind === 'yum-repo' ? [file.repository] : []))
  const named = repositoryFor(release, names)
  const major = release.version?.split('.')[0]
  const fits = new Map(
    names.map((name): [string, Fit] => [
      name,
      name === named || (releaseName.test(name) ? false : undefined),
    ]),
  )
  // another repository of the same major release does not make it two releases
  const others = [...fits].filter(([name, fit]) => fit !== false || majorOf(name) !== major)
  return fitting(new Map(others))
}

/** `debian-12`, `debian-trixie`, `ubuntu-22.04`, `el9`, `rocky-9.4`, but not `docker` or `k8s-tools` */
const releaseName = /^(?:[a-z]+-?[0-9]+(?:\.[0-9]+)*|(?:debian|ubuntu)-[a-z]+)$/

function majorOf(name: string): string | undefined {
  const version = name.slice(withoutTrailing(name, '0123456789.').length)
  return /[0-9]+/.exec(version)?.[0]
}

/** Of a file in the format of deb822(5). */
function suitesOf(source: string): string[] {
  return [...source.matchAll(/^Suites: (.*)$/gm)].flatMap(match => match[1]?.split(' ') ?? [])
}

/** `bookworm` of `bookworm-updates` and `bookworm/updates`; undefined for a flat repository (`./`) and for `stable`. */
function codenameOf(suite: string): string | undefined {
  const word = suite.split(/[-/]/)[0] ?? ''
  return ['', '.', 'stable', 'testing', 'unstable', 'oldstable'].includes(word) ? undefined : word
}

/** Folders by which a machine is known to have what reads the site's CA in that place. */
const caFolders: Record<Exclude<SiteCaPlace, 'machine'>, string> = {
  debian: 'usr/share/ca-certificates',
  el: 'etc/pki/ca-trust',
  docker: 'etc/docker',
  containers: 'etc/containers',
}

/** `apt`, `dnf`: the repositories that this machine uses; `places`: where its programs look for CAs. */
function isMeant(
  file: ClientFile,
  { apt, dnf, places }: Record<'apt' | 'dnf' | 'places', ReadonlySet<string>>,
): boolean {
  switch (file.kind) {
    case 'apt-sources':
      return apt.has(file.repository)
    case 'yum-repo':
    case 'publisher-key':
      return dnf.has(file.repository)
    case 'apt-conf':
      return apt.size > 0
    case 'site-key':
      return (file.usedBy === 'apt' ? apt : dnf).size > 0
    case 'site-ca':
      return file.place === 'machine' || places.has(file.place)
    case 'containerd-host':
    case 'pip-conf':
      return true
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    found => found.isDirectory(),
    () => false,
  )
}
