import { registryOf, type SiteAddress } from './address.ts'

/**
 * Where the machines look for images, as one ordered list for each upstream registry. Everything that a container runtime is
 * given is made from it: `hosts.toml` of containerd, and kubespray's variables for containerd and cri-o.
 */
export interface RegistryMirrors {
  /** the registry as images name it: `docker.io`, `registry.example:5000`; `_default` is any other (containerd) */
  registry: string
  /** tried in this order */
  mirrors: readonly Mirror[]
}

export interface Mirror {
  /** `host:port` */
  registry: string
  scheme: 'http' | 'https'
}

/** containerd docs/hosts.md, "Setup Default Mirror for All Registries" */
const anyOther = '_default'

/**
 * Returns the mirrors of all upstream registries that the bundles' images name, of the site's own registry, and of any other
 * one. Each has the site's registry alone.
 */
export function registryMirrors(options: {
  address: SiteAddress
  upstreams: readonly string[]
}): RegistryMirrors[] {
  const own = registryOf(options.address)
  const site: Mirror = { registry: own, scheme: options.address.scheme }
  return [...new Set([...options.upstreams, own]), anyOther].map(registry => ({ registry, mirrors: [site] }))
}

const capabilities = ['pull', 'resolve']

/** How machines check the certificates of mirrors with `https`. */
export interface MirrorTrust {
  /** path of a CA on the machine; absent: the system's CAs */
  caFile?: string | undefined
}

/**
 * Returns containerd's `hosts.toml` (docs/hosts.md). `server`, which is tried after all mirrors, is the last mirror: with the
 * public registry there, each miss would make containerd try the internet, and wait for it.
 */
export function hostsToml({ mirrors }: RegistryMirrors, { caFile }: MirrorTrust = {}): string {
  const hosts = mirrors.flatMap(mirror => [
    '',
    `[host.${quoted(urlOf(mirror))}]`,
    `  capabilities = [${capabilities.map(quoted).join(', ')}]`,
    ...(caFile === undefined || mirror.scheme === 'http' ? [] : [`  ca = ${quoted(caFile)}`]),
  ])
  const last = mirrors.at(-1)!
  // keys before the first table are about `server`
  const ca = caFile === undefined || last.scheme === 'http' ? [] : [`ca = ${quoted(caFile)}`]
  return [`server = ${quoted(urlOf(last))}`, ...ca, ...hosts, ''].join('\n')
}

/**
 * Variables of kubespray (roles/container-engine). Releases before v2.25 ignore `server` and write the upstream there; releases before
 * v2.28 ignore `ca`, and containerd takes the CA from the system's store.
 */
export function kubesprayMirrors(
  list: readonly RegistryMirrors[],
  { caFile }: MirrorTrust = {},
): {
  containerd_registries_mirrors: object[]
  crio_registries: object[]
  crio_insecure_registries: string[]
} {
  const named = list.filter(({ registry }) => registry !== anyOther)
  const insecure = named.flatMap(({ mirrors }) => mirrors).filter(({ scheme }) => scheme === 'http')
  return {
    containerd_registries_mirrors: named.map(({ registry, mirrors }) => ({
      prefix: registry,
      server: urlOf(mirrors.at(-1)!),
      mirrors: mirrors.map(mirror => ({
        host: urlOf(mirror),
        capabilities,
        skip_verify: mirror.scheme === 'http',
        ...(caFile === undefined || mirror.scheme === 'http' ? {} : { ca: caFile }),
      })),
    })),
    crio_registries: named
      .filter(({ registry, mirrors }) => mirrors.some(mirror => mirror.registry !== registry))
      .map(({ registry, mirrors }) => ({
        prefix: registry,
        location: registry,
        insecure: false,
        blocked: false,
        mirrors: mirrors.map(mirror => ({ location: mirror.registry, insecure: mirror.scheme === 'http' })),
      })),
    crio_insecure_registries: [...new Set(insecure.map(({ registry }) => registry))],
  }
}

function urlOf({ scheme, registry }: Mirror): string {
  return `${scheme}://${registry}`
}

/** A TOML basic string; JSON's escapes are among those of TOML. */
function quoted(text: string): string {
  return JSON.stringify(text)
}
