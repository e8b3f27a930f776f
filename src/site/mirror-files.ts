import { httpServerOf, registryOf, type SiteAddress } from './address.ts'
import { type AptSuite, aptSources } from './apt-repository.ts'

/** Ready-made configuration of the site's machines: path below their root → text. */
export type ClientFiles = Map<string, string>

export interface ClientFilesOptions {
  address: SiteAddress
  /** upstream registry hosts that the site answers for */
  hosts: readonly string[]
  /** package repositories under /debs */
  debs: readonly { name: string; suites: AptSuite[] }[]
  /** the site's public key, armored */
  publicKey: string
}

/** Where the site's key stands on every machine. */
export const aptKeyPath = 'etc/apt/keyrings/airgap-site.asc'

/** Everything that machines of the site need to find it. Pure: the same options, the same bytes. */
export function clientFiles({ address, hosts, debs, publicKey }: ClientFilesOptions): ClientFiles {
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
  return files
}

export function aptSourcePath(name: string): string {
  return `etc/apt/sources.list.d/airgap-${name}.sources`
}

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
