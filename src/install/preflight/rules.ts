import type { SiteNode } from '../../inventory/schema.ts'
import { repositoryFor, repositoryNames } from '../../probe/repository-name.ts'
import { type DiskName, diskPaths, kubernetesPorts, type MachineFacts, releaseOf } from './facts.ts'
import { type MachineFinding, thisHost } from './finding.ts'

/** What the bundle brings, and what is to be done with it. */
export interface Expected {
  /** whether Kubernetes is to be installed, not found */
  kubernetes: boolean
  gpuDriver: boolean
  /** branch of the driver that the playbook installs: `535`; undefined: not known */
  driverBranch: string | undefined
  /** package repositories: debian-12, el9; empty: packages are not brought */
  repositories: readonly string[]
  /** amd64, arm64; undefined: not known */
  architectures: readonly string[] | undefined
  /** bytes of all images, as they are packed */
  imageBytes: number
  /** bytes of the files that machines fetch */
  fileBytes: number
  /** repository → bytes of its packages */
  packageBytes: ReadonlyMap<string, number>
  /** how many machines run pods */
  podMachines: number
}

const MiB = 1 << 20
const GiB = 1 << 30

type Told = Omit<MachineFinding, 'machine'>
const error = (what: string, next: string): Told => ({ level: 'error', what, next })
const warning = (what: string, next: string): Told => ({ level: 'warning', what, next })

interface Subject {
  node: SiteNode
  facts: MachineFacts
  expected: Expected
  /** seconds that its clock differs from this host's */
  skew: number
}

/** Everything that can be told from what one machine said. */
export function machineFindings(subject: Subject): MachineFinding[] {
  return rules.flatMap(rule => rule(subject)).map(told => ({ machine: subject.node.name, ...told }))
}

const rules: ((subject: Subject) => Told[])[] = [
  system,
  kernel,
  processors,
  memory,
  disks,
  ports,
  clock,
  security,
  runtimes,
  network,
  access,
  gpu,
]

const isControlPlane = ({ node }: Pick<Subject, 'node'>) => node.roles.includes('control-plane')
const runsPods = ({ node }: Pick<Subject, 'node'>) =>
  node.roles.some(role => role === 'control-plane' || role === 'worker')
const hasCluster = ({ facts }: Pick<Subject, 'facts'>) => facts.running.includes('kubelet')
/** An install that stopped in the middle leaves etcd, or a control plane, without a kubelet: the next one goes on with them. */
const hasPartOfCluster = ({ facts }: Pick<Subject, 'facts'>) =>
  ['kubelet', 'etcd', 'kube-apiserver'].some(name => facts.running.includes(name))

function system({ facts, node, expected }: Subject): Told[] {
  const { repositories, architectures } = expected
  const { architecture, osName, osId = 'unknown' } = facts
  const names = repositoryNames(releaseOf(facts) ?? { id: osId })
  const told: Told[] = []
  if (repositories.length > 0 && !names.some(name => repositories.includes(name)))
    told.push(
      error(
        `runs ${osName ?? osId}, for which the bundle has no packages${names.length === 0 ? '' : ` (${names.join(', ')})`}`,
        `install one of ${repositories.join(', ')} there, or have a bundle built with its packages`,
      ),
    )
  if (architectures !== undefined && architecture !== undefined && !architectures.includes(architecture))
    told.push(
      error(
        `is ${architecture}, and the bundle is for ${architectures.join(', ')}`,
        'use another machine, or have a bundle built for this platform, too',
      ),
    )
  if (expected.kubernetes && runsPods({ node }) && facts.systemd === false)
    told.push(error('is not run by systemd, which kubelet and containerd need', 'use a machine with systemd'))
  return told
}

function kernel({ facts }: Subject): Told[] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(facts.kernel ?? '') ?? []
  if (major === undefined || Number(major) > 4 || (Number(major) === 4 && Number(minor) >= 18)) return []
  return [
    error(`has kernel ${facts.kernel}, older than 4.18`, 'install a newer release of its operating system'),
  ]
}

function processors(subject: Subject): Told[] {
  const { cpus } = subject.facts
  if (cpus === undefined || cpus >= 2 || !isControlPlane(subject) || !subject.expected.kubernetes) return []
  return [
    error(
      `has ${cpus} processor: kubeadm wants 2 on a control plane`,
      'give it more, or another role in site.yaml',
    ),
  ]
}

function memory(subject: Subject): Told[] {
  const { memory } = subject.facts
  if (memory === undefined) return []
  const control = isControlPlane(subject) && subject.expected.kubernetes
  const [least, words] = control ? [1700 * MiB, '1700 MiB of a control plane'] : [GiB, '1 GiB']
  const has = `has ${Math.floor(memory / MiB)} MiB of memory`
  if (memory < least) return [error(`${has}, less than the least, ${words}`, 'give it more')]
  // what is sold as 8 GiB shows less: the kernel keeps some
  if (control && memory < 7.5 * GiB)
    return [
      warning(
        `${has}: a control plane with all applications wants 8 GiB`,
        'give it more, or keep an eye on it',
      ),
    ]
  return []
}

interface Need {
  disk: DiskName
  /** below that it cannot work */
  least: number
  /** below that it may not */
  good: number
  why: string
}

function needsOf(subject: Subject): Need[] {
  const { expected, facts } = subject
  const { imageBytes, fileBytes, packageBytes, podMachines } = expected
  const release = releaseOf(facts)
  const repository = release && repositoryFor(release, packageBytes.keys())
  const packages = packageBytes.get(repository ?? '') ?? 0
  // what was installed has taken its room already
  if (hasCluster(subject))
    return [
      {
        disk: 'containerd',
        least: 0,
        good: 5 * GiB,
        why: 'new images, and kubelet removes images when it is full',
      },
    ]
  const needs: Need[] = [
    { disk: 'root', least: packages, good: 2 * packages, why: 'packages, unpacked' },
    { disk: 'var', least: packages, good: packages, why: 'packages, as they are fetched' },
  ]
  if (expected.kubernetes && runsPods(subject))
    needs.push({ disk: 'root', least: fileBytes, good: fileBytes, why: 'files of Kubernetes' })
  if (runsPods(subject) && imageBytes > 0) {
    // packed once and unpacked twice as large; only where there is one machine all of them come there for certain
    const good = 3 * imageBytes
    const least = podMachines <= 1 ? good : imageBytes
    needs.push({ disk: 'containerd', least, good, why: 'images' })
  }
  if (expected.kubernetes && isControlPlane(subject))
    needs.push({ disk: 'etcd', least: 512 * MiB, good: 2 * GiB, why: 'etcd' })
  return needs
}

function disks(subject: Subject): Told[] {
  const byDevice = Map.groupBy(
    needsOf(subject).filter(({ disk }) => subject.facts.disks[disk] !== undefined),
    ({ disk }) => subject.facts.disks[disk]!.device,
  )
  return [...byDevice.values()].flatMap(needs => {
    const { free } = subject.facts.disks[needs[0]!.disk]!
    const sum = (of: 'least' | 'good') => needs.reduce((total, need) => total + need[of], 0)
    const paths = [...new Set(needs.map(({ disk }) => diskPaths[disk]))].join(', ')
    const says = (bytes: number) =>
      `has ${gib(free)} free for ${paths}, and ${gib(bytes)} are needed: ${needs
        .filter(({ good }) => good > 0)
        .map(need => `${need.why} ${gib(need.good)}`)
        .join(', ')}`
    const next = 'make room, or mount a larger disk there before the install'
    if (free < sum('least')) return [error(says(sum('good')), next)]
    return free < sum('good') ? [warning(says(sum('good')), next)] : []
  })
}

function gib(bytes: number): string {
  return bytes < GiB ? `${Math.round(bytes / MiB)} MiB` : `${(bytes / GiB).toFixed(1)} GiB`
}

function ports(subject: Subject): Told[] {
  const { facts, expected } = subject
  if (!expected.kubernetes || !runsPods(subject)) return []
  const wanted = Object.entries(kubernetesPorts).filter(
    ([port]) => facts.ports.includes(Number(port)) && (isControlPlane(subject) || port === '10250'),
  )
  if (wanted.length === 0) return []
  const taken = wanted.map(([port, name]) => `${port} (${name})`).join(', ')
  return hasPartOfCluster(subject)
    ? [
        warning(
          `Kubernetes, or a part of it, runs there already: ports ${taken}`,
          'nothing, where it is this cluster; a machine of another cluster has to leave that first',
        ),
      ]
    : [
        error(
          `something listens on ports that Kubernetes needs: ${taken}`,
          'find it with `ss -ltnp` and stop it for good',
        ),
      ]
}

function clock({ skew }: Subject): Told[] {
  if (skew <= 5) return []
  const what = `its clock is ${Math.round(skew)} s away from that of this host`
  const next = 'set both clocks, and have the machines ask one time server of the site (chrony)'
  return [skew > 30 ? error(`${what}: certificates would not be valid`, next) : warning(what, next)]
}

function security({ facts, expected }: Subject): Told[] {
  const told: Told[] = []
  if (facts.selinux === 'enforcing')
    told.push(
      warning(
        'SELinux is enforcing',
        'kubespray sets it to permissive; where the site forbids that, set kubespray.preinstall_selinux_state in site.yaml',
      ),
    )
  if (facts.swap && expected.kubernetes)
    told.push(
      warning(
        'swap is on',
        'kubespray switches it off; take it out of /etc/fstab where it is needed no more',
      ),
    )
  return told
}

function runtimes(subject: Subject): Told[] {
  const { facts, expected } = subject
  if (!expected.kubernetes || !runsPods(subject)) return []
  const docker = facts.running.includes('dockerd') || facts.sockets.includes('docker')
  const found = [
    ...(docker ? ['docker'] : []),
    ...(facts.running.includes('crio') || facts.sockets.includes('crio') ? ['cri-o'] : []),
  ]
  if (found.length === 0) return []
  return [
    warning(
      `${found.join(' and ')} runs there, and would share the machine with containerd of Kubernetes`,
      'remove it where nothing else needs it; docker brings a containerd of its own, which kubespray replaces',
    ),
  ]
}

function network({ facts }: Subject): Told[] {
  if (!facts.defaultRoute) return []
  const servers = facts.nameservers.length === 0 ? '' : ` and asks ${facts.nameservers.join(', ')} for names`
  return [
    warning(
      `has a default route${servers}: a closed network is expected to be closed`,
      'nothing is fetched from outside; make sure that the route leads nowhere it should not',
    ),
  ]
}

function access({ facts, node }: Subject): Told[] {
  const told: Told[] = []
  if (facts.python === undefined)
    told.push(
      error(
        'has no python3, which ansible needs there',
        `install the package python3 from the installation medium of ${facts.osName ?? 'its system'}`,
      ),
    )
  const said = facts.sudoSays === undefined ? '' : `: ${facts.sudoSays}`
  const passwordless = 'let the user become root without one (NOPASSWD in /etc/sudoers.d)'
  switch (facts.sudo) {
    case undefined:
      told.push(
        error(`it is not known whether ${node.user ?? 'the user'} may use sudo`, 'try `sudo true` there'),
      )
      break
    case 'missing':
      told.push(
        error('has no sudo, and the user is not root', 'install sudo, or set ssh.user to root in site.yaml'),
      )
      break
    case 'password':
      told.push(error('sudo needs a password', `set ssh.sudo: password in site.yaml, or ${passwordless}`))
      break
    case 'wrong':
      told.push(
        error(
          'sudo does not take the password',
          'give the right one in OFFLINE_DEPLOY_SUDO_PASSWORD, or delete access/sudo of the state folder to be asked again',
        ),
      )
      break
    case 'refused':
      told.push(
        error(`sudo does not work${said}`, 'give the user the right to become root in /etc/sudoers.d'),
      )
      break
    case 'ok':
  }
  return told
}

function gpu({ node, facts, expected }: Subject): Told[] {
  if (!node.roles.includes('gpu')) return []
  const { driver } = facts
  const { driverBranch } = expected
  const told: Told[] = []
  if (facts.nvidia === 0)
    told.push(
      warning(
        'has the role gpu, and no NVIDIA device',
        'put the card in, pass it through to the virtual machine, or take the role away in site.yaml',
      ),
    )
  if (facts.secureBoot && expected.gpuDriver && driver === undefined)
    told.push(
      error(
        'Secure Boot is on: the kernel would not load the driver, which is not signed for it',
        'switch Secure Boot off in the firmware, or install a signed driver and set switches.gpuDriver to false',
      ),
    )
  if (facts.nouveau)
    told.push(
      warning(
        'nouveau is loaded, and holds the GPU',
        'reboot after the driver step, which keeps it from loading',
      ),
    )
  if (
    expected.gpuDriver &&
    driver !== undefined &&
    driverBranch !== undefined &&
    !driver.startsWith(`${driverBranch}.`)
  )
    told.push(
      warning(
        `NVIDIA driver ${driver} is loaded, and the bundle installs branch ${driverBranch}`,
        'remove that driver, or set switches.gpuDriver to false in site.yaml to keep it',
      ),
    )
  return told
}

/** How far a machine's clock is off, at least: it told the time at some moment between the two. */
export function clockSkew(time: number | undefined, { from, to }: { from: number; to: number }): number {
  if (time === undefined) return 0
  // `date` gives whole seconds
  return Math.max(0, from - (time + 1), time - to)
}

/** What cannot be told from one machine alone. */
export function siteFindings(machines: readonly { name: string; facts: MachineFacts }[]): MachineFinding[] {
  const told = (
    key: 'machineId' | 'hostname',
    words: (value: string) => Pick<MachineFinding, 'what' | 'next'>,
  ) =>
    [...Map.groupBy(machines, ({ facts }) => facts[key] ?? '')].flatMap(([value, same]) =>
      value === '' || same.length < 2
        ? []
        : same.map(({ name }): MachineFinding => {
            const others = same.filter(one => one.name !== name).map(one => one.name)
            const { what, next } = words(value)
            return { machine: name, level: 'error', what: `${what} ${others.slice(0, 5).join(', ')}`, next }
          }),
    )
  return [
    ...told('machineId', () => ({
      what: 'has the same /etc/machine-id as',
      next: 'they are copies, or one machine under two addresses; for copies: `rm /etc/machine-id && systemd-machine-id-setup`, then reboot',
    })),
    ...told('hostname', value => ({
      what: `has the same host name (${value}) as`,
      next: 'give each its own: `hostnamectl set-hostname NAME`',
    })),
  ]
}

/** What there is to know of the host that installs. */
export interface HostFacts {
  folder: string
  /** bytes where the state folder lies; undefined: not known */
  free: number | undefined
  /** bytes that programs of this host still take there */
  needed: number
  /** that it has, or what keeps it from being found; undefined: none is needed */
  python: { version: string } | { lacks: string; next: string } | undefined
  ssh: boolean
  /** undefined: not needed */
  sshpass: boolean | undefined
  /** of the servers */
  ports: { port: number; listen: string; state: 'free' | 'ours' | 'taken' | 'forbidden' | 'no address' }[]
  privateKey: { path: string; state: 'good' | 'missing' | 'open to others' } | undefined
}

export function hostFindings(host: HostFacts): MachineFinding[] {
  const told: Told[] = []
  if (host.free !== undefined && host.free < host.needed)
    told.push(
      error(
        `has ${gib(host.free)} free in ${host.folder}, and ${gib(host.needed)} are needed for the programs of this host`,
        'make room, or choose a folder on another disk with --site',
      ),
    )
  if (host.python !== undefined && 'lacks' in host.python)
    told.push(error(host.python.lacks, host.python.next))
  for (const { port, listen, state } of host.ports) {
    if (state === 'taken')
      told.push(
        error(
          `another program listens on port ${port}`,
          `find it with \`ss -ltnp\` and stop it, or choose another port with --registry-port or --http-port`,
        ),
      )
    if (state === 'forbidden')
      told.push(error(`may not listen on port ${port}`, 'run it as root, or choose a port above 1023'))
    if (state === 'no address')
      told.push(error(`has no address ${listen}`, 'give an address of this host with --listen'))
  }
  return [...told.map(one => ({ machine: thisHost, ...one })), ...reachFindings(host)]
}

/** What keeps this host from asking any machine. */
export function reachFindings(host: Pick<HostFacts, 'ssh' | 'sshpass' | 'privateKey'>): MachineFinding[] {
  const told: Told[] = []
  if (!host.ssh)
    told.push(
      error('has no ssh: no machine can be asked', 'install the package openssh-client (openssh-clients)'),
    )
  if (host.sshpass === false)
    told.push(
      error(
        'has no sshpass, without which ssh takes no password: no machine can be asked',
        'install the package sshpass, or put a key on the machines and set ssh.password to false',
      ),
    )
  const key = host.privateKey
  if (key?.state === 'missing')
    told.push(error(`has no ${key.path} that can be read`, 'correct ssh.privateKey in site.yaml'))
  if (key?.state === 'open to others')
    told.push(error(`${key.path} can be read by others: ssh does not use it`, `chmod 600 ${key.path}`))
  return told.map(one => ({ machine: thisHost, ...one }))
}
