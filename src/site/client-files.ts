import { canonicalJson } from '../core/canonical-json.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import { type ClientFile, type SiteCaPlace, siteCaPath } from '../kinds/client-file.ts'
import { registryOf, type SiteAddress } from './address.ts'
import { hostsToml, type MirrorTrust, type RegistryMirrors } from './registry-mirrors.ts'

export type { ClientFile } from '../kinds/client-file.ts'

/** Returns containerd's files. The other client files belong to the kinds: repositories, indexes, keys. */
export function containerdFiles(mirrors: readonly RegistryMirrors[], trust: MirrorTrust = {}): ClientFile[] {
  return mirrors.map(each => ({
    kind: 'containerd-host',
    registry: each.registry,
    path: `etc/containerd/certs.d/${each.registry}/hosts.toml`,
    text: hostsToml(each, trust),
  }))
}

/** The path of the site's CA on a machine, where clients need one. */
export function caFileOf(ca: string | undefined): string | undefined {
  return ca === undefined ? undefined : `/${siteCaPath}`
}

/** Where tools of each family add a CA to the system's store: update-ca-certificates(8), update-ca-trust(8). */
export const siteCaPaths = {
  debian: 'usr/local/share/ca-certificates/airgap-site-ca.crt',
  el: 'etc/pki/ca-trust/source/anchors/airgap-site-ca.crt',
} as const

/** Returns the files with the CA of the site's servers, in PEM: the one that all settings name, and those of programs with a place of their own. */
export function siteCaFiles(ca: string | undefined, address: SiteAddress): ClientFile[] {
  if (ca === undefined) return []
  const registry = registryOf(address)
  const places: [SiteCaPlace, string][] = [
    ['machine', siteCaPath],
    ['debian', siteCaPaths.debian],
    ['el', siteCaPaths.el],
    // containers-certs.d(5), and docker's documentation of certificates
    ['docker', `etc/docker/certs.d/${registry}/ca.crt`],
    ['containers', `etc/containers/certs.d/${registry}/ca.crt`],
  ]
  return places.map(([place, path]) => ({ kind: 'site-ca', place, path, text: ca }))
}

/** Digest of all files: what a running server says it serves, compared with what it would serve now. */
export function clientFilesDigest(files: readonly ClientFile[]): Digest {
  return digestOf(canonicalJson(files.map(({ path, text }) => [path, text])))
}
