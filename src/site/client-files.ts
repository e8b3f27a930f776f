import { canonicalJson } from '../core/canonical-json.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { httpServerOf, type SiteAddress } from './address.ts'
import { type AptSuite, aptSources } from './apt-repository.ts'
import { hostsToml, type RegistryMirrors } from './registry-mirrors.ts'
import { pipConf } from './wheel-index.ts'
import { yumRepoFile } from './yum-repository.ts'

/** A file that a machine of the site needs to use the site's servers. */
export type ClientFile = {
  /** below the root of the machine, without a slash at its start */
  path: string
  text: string
} & (
  | { kind: 'containerd-host'; registry: string }
  | { kind: 'apt-sources'; repository: string }
  | { kind: 'yum-repo'; repository: string }
  | { kind: 'pip-conf' }
  /** the site's public key, where apt or dnf looks for it */
  | { kind: 'site-key'; usedBy: 'apt' | 'dnf' }
  /** a public key of a repository's publisher, with which packages are signed */
  | { kind: 'publisher-key'; repository: string }
)

export interface ClientFilesOptions {
  address: SiteAddress
  mirrors: readonly RegistryMirrors[]
  /** package repositories under /debs */
  debs: readonly { name: string; suites: readonly AptSuite[] }[]
  /** package repositories under /rpms */
  rpms: readonly RpmClient[]
  hasWheels: boolean
  /** the site's public key, armored */
  publicKey: string
}

/** A yum repository as a machine uses it. */
export interface RpmClient {
  /** of the tree: `el9` */
  name: string
  id: string
  /** its publisher's public keys, armored */
  keys: readonly string[]
  priority?: number
  moduleHotfixes?: boolean
}

const aptKeyPath = 'etc/apt/keyrings/airgap-site.asc'
const rpmKeyFolder = 'etc/pki/rpm-gpg'
const rpmKeyPath = `${rpmKeyFolder}/RPM-GPG-KEY-airgap-site`

/**
 * Returns all client files of a site; which of them a machine uses is for its release to decide. Pure: the same options, the
 * same bytes. Throws BUNDLE_CORRUPT for a name out of a bundle that could add a line or an option to a file.
 */
export function clientFiles(options: ClientFilesOptions): ClientFile[] {
  const { address, mirrors, debs, rpms, hasWheels, publicKey } = options
  const httpServer = httpServerOf(address)
  const files: ClientFile[] = mirrors.map(each => ({
    kind: 'containerd-host',
    registry: each.registry,
    path: `etc/containerd/certs.d/${each.registry}/hosts.toml`,
    text: hostsToml(each),
  }))
  const sources = debs.filter(repository => repository.suites.length > 0)
  if (sources.length > 0) files.push({ kind: 'site-key', usedBy: 'apt', path: aptKeyPath, text: publicKey })
  for (const { name, suites } of sources) {
    checkName(name, 'debs')
    for (const { root } of suites) checkFolder(root, `debs/${name}`)
    files.push({
      kind: 'apt-sources',
      repository: name,
      path: `etc/apt/sources.list.d/airgap-${name}.sources`,
      text: aptSources({ name, baseUrl: httpServer, suites, signedBy: `/${aptKeyPath}` }),
    })
  }
  if (rpms.length > 0) files.push({ kind: 'site-key', usedBy: 'dnf', path: rpmKeyPath, text: publicKey })
  for (const [name, sections] of Map.groupBy(rpms, repository => repository.name))
    files.push(...yumFiles(name, sections, httpServer))
  if (hasWheels) files.push({ kind: 'pip-conf', path: 'etc/pip.conf', text: pipConf(httpServer) })
  return files
}

function yumFiles(name: string, repositories: readonly RpmClient[], httpServer: string): ClientFile[] {
  checkName(name, 'rpms')
  const keys: ClientFile[] = []
  const sections = repositories.map(repository => {
    checkName(repository.id, `rpms/${name}`)
    const own = repository.keys.map(
      (text, i): ClientFile => ({
        kind: 'publisher-key',
        repository: name,
        path: `${rpmKeyFolder}/RPM-GPG-KEY-airgap-${name}-${repository.id}-${i + 1}`,
        text,
      }),
    )
    keys.push(...own)
    return { ...repository, keys: [rpmKeyPath, ...own.map(({ path }) => path)].map(path => `/${path}`) }
  })
  const text = yumRepoFile(sections, httpServer)
  return [...keys, { kind: 'yum-repo', repository: name, path: `etc/yum.repos.d/airgap-${name}.repo`, text }]
}

/** Digest of all files: what a running server says it serves, compared with what it would serve now. */
export function clientFilesDigest(files: readonly ClientFile[]): Digest {
  return digestOf(canonicalJson(files.map(({ path, text }) => [path, text])))
}

/** Names that a stack manifest may have, and repository ids of dnf. Anything else could end a section or start an option. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,254}$/

function checkName(name: string, parent: string): void {
  if (!namePattern.test(name)) throw unfit(`${parent}/${name}`)
}

/** The folder of an archive, which is written percent-encoded; a lone surrogate has no encoding. */
function checkFolder(folder: string, parent: string): void {
  if (!folder.isWellFormed()) throw unfit(`${parent}/${folder}`)
}

function unfit(item: string): AirgapError {
  return new AirgapError(
    'BUNDLE_CORRUPT',
    'a package repository has a name that could change what machines install',
    {
      item: JSON.stringify(item.slice(0, 300)),
      likely: 'another program made the bundle, or it is malicious',
      next: 'do not use this bundle; rebuild it with airgap',
    },
  )
}
