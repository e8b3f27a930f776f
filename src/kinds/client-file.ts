import { AirgapError } from '../core/errors.ts'

/** A file that a machine of the site needs to use the site's servers. */
export type ClientFile = {
  /** below the root of the machine, without a slash at its start */
  path: string
  text: string
} & (
  | { kind: 'containerd-host'; registry: string }
  | { kind: 'apt-sources'; repository: string }
  /** apt reaches the site's server without a proxy */
  | { kind: 'apt-conf' }
  | { kind: 'yum-repo'; repository: string }
  | { kind: 'pip-conf' }
  /** the CA of the site's servers, once for each place in which a program looks for it */
  | { kind: 'site-ca'; place: SiteCaPlace }
  /** the site's public key, where apt or dnf looks for it */
  | { kind: 'site-key'; usedBy: 'apt' | 'dnf' }
  /** a public key of a repository's publisher, with which packages are signed */
  | { kind: 'publisher-key'; repository: string }
)

/**
 * `machine`: the file that every other client file names; `debian`, `el`: where the tools of that family add a CA to the system's
 * store; `docker`, `containers`: the folder of the registry in which docker, or podman and CRI-O, look.
 */
export type SiteCaPlace = 'machine' | 'debian' | 'el' | 'docker' | 'containers'

/**
 * The CA of the site's servers on each machine. Programs in Go trust every certificate in this folder (crypto/x509, root_linux.go),
 * also on a machine without the package ca-certificates; on the RHEL family, it is a link to /etc/pki/tls/certs.
 */
export const siteCaPath = 'etc/ssl/certs/airgap-site-ca.crt'

/** Names that a stack manifest may have, and repository ids of dnf. Anything else could end a section or start an option. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,254}$/

/** Throws BUNDLE_CORRUPT for a name out of a bundle that could add a line or an option to a file. */
export function checkRepositoryName(name: string, parent: string): void {
  if (!namePattern.test(name)) throw unfitName(`${parent}/${name}`)
}

export function unfitName(item: string): AirgapError {
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
