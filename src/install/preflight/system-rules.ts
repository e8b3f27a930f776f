import { repositoryNames } from '../../probe/repository-name.ts'
import { releaseOf } from './facts.ts'
import { error, type Fault, runsPods, type Subject, warning } from './subject.ts'

export function release({ facts, expected: { repositories } }: Subject): Fault[] {
  const { osName, osId = 'an unknown system' } = facts
  const names = repositoryNames(releaseOf(facts) ?? { id: osId })
  if (repositories.length === 0 || names.some(name => repositories.includes(name))) return []
  const repository = facts.osId === undefined || names.length === 0 ? '' : ` (${names.join(', ')})`
  return [
    error(
      `runs ${osName ?? osId}, for which the bundle has no packages${repository}`,
      `install one of ${repositories.join(', ')} on it, or add its packages to the manifest and rebuild the bundle`,
    ),
  ]
}

export function architecture({ facts, expected: { architectures } }: Subject): Fault[] {
  if (architectures === undefined || facts.architecture === undefined) return []
  if (architectures.includes(facts.architecture)) return []
  return [
    error(
      `is ${facts.architecture}; the bundle is for ${architectures.join(', ')}`,
      'use another machine, or add this platform to the manifest and rebuild the bundle',
    ),
  ]
}

export function systemd({ node, facts, expected }: Subject): Fault[] {
  if (!expected.kubernetes || !runsPods({ node }) || facts.systemd !== false) return []
  return [error('does not run systemd, which kubelet and containerd require', 'use a machine with systemd')]
}

export function kernel({ facts }: Subject): Fault[] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(facts.kernel ?? '') ?? []
  if (major === undefined || Number(major) > 4 || (Number(major) === 4 && Number(minor) >= 18)) return []
  return [
    error(`kernel ${facts.kernel} is older than 4.18`, 'install a newer release of its operating system'),
  ]
}

export function clock({ facts: { time }, expected: { certificate }, skew }: Subject): Fault[] {
  if (skew <= 5) return []
  const what = `its clock differs from this host's by ${Math.round(skew)} s`
  const next = 'set both clocks, and synchronize the machines with one time server of the site (chrony)'
  // RFC 5280, 4.1.2.5: each machine compares the validity with its own clock
  if (
    time !== undefined &&
    certificate !== undefined &&
    (time < certificate.from || time > certificate.until)
  ) {
    const valid = `from ${dateOf(certificate.from)} until ${dateOf(certificate.until)}`
    return [
      error(
        `${what}; it shows ${dateOf(time)}, so it would refuse the certificate of the site's servers, which is valid ${valid}`,
        next,
      ),
    ]
  }
  return [skew > 30 ? error(`${what}; certificates would not be valid`, next) : warning(what, next)]
}

/** `2026-11-27`, in UTC */
function dateOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/T.*/, '')
}

/** How far a machine's clock is off at least, in seconds. Its time was taken at some moment between `from` and `to`. */
export function clockSkew(time: number | undefined, { from, to }: { from: number; to: number }): number {
  if (time === undefined) return 0
  // `date` prints whole seconds
  return Math.max(0, from - (time + 1), time - to)
}

export function selinux({ facts }: Subject): Fault[] {
  if (facts.selinux !== 'enforcing') return []
  return [
    warning(
      'SELinux is enforcing',
      'kubespray sets it to permissive; where the site forbids that, set kubespray.preinstall_selinux_state in site.yaml',
    ),
  ]
}

export function swap({ facts, expected }: Subject): Fault[] {
  if (!facts.swap || !expected.kubernetes) return []
  return [warning('swap is on', 'kubespray turns it off; remove it from /etc/fstab if nothing else needs it')]
}

export function defaultRoute({ facts }: Subject): Fault[] {
  if (!facts.defaultRoute) return []
  const servers =
    facts.nameservers.length === 0 ? '' : ` and uses the name servers ${facts.nameservers.join(', ')}`
  return [
    warning(
      `has a default route${servers}; a closed network should have none that leads outside`,
      'check where the route leads; the install fetches nothing from outside',
    ),
  ]
}
