import { httpServerOf, registryOf, type SiteAddress } from './address.ts'
import { type AptSuite, aptSources } from './apt-repository.ts'
import { pipConf } from './wheel-index.ts'
import { yumRepoFile } from './yum-repository.ts'

/** Ready-made configuration of the site's machines: path below their root → text. */
export type ClientFiles = Map<string, string>

export interface ClientFilesOptions {
  address: SiteAddress
  /** upstream registry hosts that the site answers for */
  hosts: readonly string[]
  /** package repositories under /debs */
  debs: readonly { name: string; suites: AptSuite[] }[]
  /** package repositories under /rpms */
  rpms: readonly RpmClient[]
  /** whether there is a Python package index */
  hasWheels: boolean
  /** the site's public key, armored */
  publicKey: string
}

/** A yum repository, as a machine is told of it. */
export interface RpmClient {
  /** of the tree: `el9` */
  name: string
  id: string
  /** its publisher's public keys, armored */
  keys: readonly string[]
  priority?: number
  moduleHotfixes?: boolean
}

/** Where the site's key stands on every machine. */
export const aptKeyPath = 'etc/apt/keyrings/airgap-site.asc'

/** The same key where dnf looks for keys. */
export const rpmKeyPath = 'etc/pki/rpm-gpg/RPM-GPG-KEY-airgap-site'

/** Everything that machines of the site need to find it. Pure: the same options, the same bytes. */
export function clientFiles(options: ClientFilesOptions): ClientFiles {
  const { address, hosts, debs, rpms, hasWheels, publicKey } = options
  const files: ClientFiles = new Map()
  const registry = registryOf(address)
  for (const host of [...hosts, registry, '_default']) {
    files.set(`etc/containerd/certs.d/${host}/hosts.toml`, hostsToml(registry))
  }
  const sources = debs.filter(repository => repository.suites.length > 0)
  if (sources.length > 0) files.set(aptKeyPath, publicKey)
  for (const { name, suites } of sources) {
    const text = aptSources({ name, baseUrl: httpServerOf(address), suites, signedBy: `/${aptKeyPath}` })
    files.set(aptSourcePath(name), text)
  }
  if (rpms.length > 0) files.set(rpmKeyPath, publicKey)
  for (const name of new Set(rpms.map(repository => repository.name))) {
    const sections = rpms
      .filter(repository => repository.name === name)
      .map(({ keys, ...repository }) => {
        const paths = keys.map((text, i) => {
          const path = `etc/pki/rpm-gpg/RPM-GPG-KEY-airgap-${name}-${repository.id}-${i + 1}`
          files.set(path, text)
          return `/${path}`
        })
        return { ...repository, keys: [`/${rpmKeyPath}`, ...paths] }
      })
    files.set(yumRepoPath(name), yumRepoFile(sections, httpServerOf(address)))
  }
  if (hasWheels) files.set(pipConfPath, pipConf(httpServerOf(address)))
  return files
}

export function aptSourcePath(name: string): string {
  return `etc/apt/sources.list.d/airgap-${name}.sources`
}

export function yumRepoPath(name: string): string {
  return `etc/yum.repos.d/airgap-${name}.repo`
}

export const pipConfPath = 'etc/pip.conf'

/**
 * containerd docs/hosts.md. `server` is the site too: with the public registry there, every miss would make containerd try
 * the internet, and wait for it.
 */
function hostsToml(registry: string): string {
  return [
    `server = "http://${registry}"`,
    '',
    `[host."http://${registry}"]`,
    '  capabilities = ["pull", "resolve"]',
    '',
  ].join('\n')
}
