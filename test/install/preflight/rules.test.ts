import { describe, expect, it } from 'vitest'
import type { MachineFacts } from '../../../src/install/preflight/facts.ts'
import { findingLines } from '../../../src/install/preflight/finding.ts'
import { limitedNodes } from '../../../src/install/preflight/limit.ts'
import {
  clockSkew,
  type Expected,
  type HostFacts,
  hostFindings,
  machineFindings,
  siteFindings,
} from '../../../src/install/preflight/rules.ts'
import { refusal } from '../../../src/install/preflight/ssh.ts'
import type { NodeRole, SiteNode } from '../../../src/inventory/schema.ts'

const MiB = 1 << 20
const GiB = 1 << 30
const disk = (free: number, device = '1') => ({ free, device })

const good: MachineFacts = {
  ...{ osId: 'ubuntu', osLike: ['debian'], osVersion: '22.04', osName: 'Ubuntu 22.04.3 LTS' },
  ...{ kernel: '5.15.0-91-generic', architecture: 'amd64', cpus: 8, memory: 16 * GiB },
  disks: { root: disk(100 * GiB), var: disk(100 * GiB), containerd: disk(100 * GiB), etcd: disk(100 * GiB) },
  ...{ ports: [], time: 0, selinux: 'disabled', apparmor: true, swap: false, running: [], sockets: [] },
  ...{ defaultRoute: false, nameservers: [], python: '3.10.12', sudo: 'ok', hostname: 'm', systemd: true },
  ...{ nvidia: 0, nouveau: false, secureBoot: false },
}
const expected: Expected = {
  ...{ kubernetes: true, gpuDriver: true, driverBranch: '535', repositories: ['ubuntu-22.04'] },
  architectures: ['amd64'],
  ...{ imageBytes: 10 * GiB, fileBytes: GiB, packageBytes: new Map([['ubuntu-22.04', GiB]]), podMachines: 3 },
}
const nodeOf = (roles: NodeRole[]): SiteNode => ({ name: 'm', address: '10.0.0.1', roles })

interface Case {
  facts?: Partial<MachineFacts>
  expected?: Partial<Expected>
  roles?: NodeRole[]
  skew?: number
}
function findings({ facts, expected: more, roles = ['control-plane', 'worker'], skew = 0 }: Case) {
  return machineFindings({
    node: nodeOf(roles),
    facts: { ...good, ...facts },
    expected: { ...expected, ...more },
    skew,
  })
}
const without = (key: keyof MachineFacts): Partial<MachineFacts> => ({ [key]: undefined })
const disks = (free: Partial<Record<'root' | 'var' | 'containerd' | 'etcd', number>>) => ({
  disks: Object.fromEntries(Object.entries(free).map(([name, bytes], i) => [name, disk(bytes, String(i))])),
})

describe('rules for one machine', () => {
  it('have nothing against a good one', () => {
    for (const roles of [['control-plane', 'worker'], ['control-plane'], ['worker'], ['nfs']] as NodeRole[][])
      expect(findings({ roles })).toEqual([])
    expect(findings({ roles: ['worker', 'gpu'], facts: { nvidia: 8, driver: '535.183.01' } })).toEqual([])
  })

  const other = { osId: 'arch', osLike: [], osVersion: '2024', osName: 'Arch' }
  const gpu: NodeRole[] = ['worker', 'gpu']
  it.each<[string, 'error' | 'warning', RegExp, Case]>([
    ['another system', 'error', /no packages \(arch-2024\)/, { facts: other }],
    [
      'a system of no name',
      'error',
      /runs unknown, for which/,
      { facts: { ...without('osId'), osName: undefined! } },
    ],
    ['another release', 'error', /ubuntu-24\.04/, { facts: { osVersion: '24.04' } }],
    ['another architecture', 'error', /is arm64/, { facts: { architecture: 'arm64' } }],
    ['no systemd', 'error', /systemd/, { facts: { systemd: false } }],
    ['an old kernel', 'error', /3\.10/, { facts: { kernel: '3.10.0-1160.el7.x86_64' } }],
    ['a kernel just too old', 'error', /4\.17/, { facts: { kernel: '4.17.9' } }],
    ['one processor', 'error', /1 processor/, { facts: { cpus: 1 } }],
    ['little memory', 'error', /1699 MiB/, { facts: { memory: 1700 * MiB - 1 } }],
    ['little memory of a worker', 'error', /1023 MiB/, { facts: { memory: GiB - 1 }, roles: ['worker'] }],
    ['memory for no applications', 'warning', /wants 8 GiB/, { facts: { memory: 4 * GiB } }],
    ['no room for packages', 'error', /for \/var,/, { facts: disks({ var: GiB - 1 }) }],
    ['no room for images', 'error', /containerd.*30\.0 GiB/, { facts: disks({ containerd: 10 * GiB - 1 }) }],
    ['room for some images', 'warning', /containerd/, { facts: disks({ containerd: 30 * GiB - 1 }) }],
    [
      'one machine for all images',
      'error',
      /containerd/,
      { facts: disks({ containerd: 30 * GiB - 1 }), expected: { podMachines: 1 } },
    ],
    ['no room for etcd', 'error', /etcd/, { facts: disks({ etcd: 100 * MiB }) }],
    [
      'one file system for all, where each alone would do',
      'error',
      /free for \/, \/var, \/var\/lib\/containerd, \/var\/lib\/etcd/,
      {
        facts: {
          disks: {
            root: disk(11 * GiB),
            var: disk(11 * GiB),
            containerd: disk(11 * GiB),
            etcd: disk(11 * GiB),
          },
        },
      },
    ],
    [
      'a full disk of a machine in a cluster',
      'warning',
      /new images/,
      { facts: { running: ['kubelet'], ...disks({ containerd: GiB }) } },
    ],
    ['a port in use', 'error', /6443 \(API server\)/, { facts: { ports: [6443] } }],
    ['a port of kubelet on a worker', 'error', /10250/, { facts: { ports: [10_250] }, roles: ['worker'] }],
    [
      'an install that stopped in the middle',
      'warning',
      /already: ports 2379/,
      { facts: { ports: [2379], running: ['etcd'] } },
    ],
    ['a cluster', 'warning', /already: ports 6443/, { facts: { ports: [6443], running: ['kubelet'] } }],
    ['a clock that is off', 'error', /31 s/, { skew: 30.6 }],
    ['a clock that is a bit off', 'warning', /6 s/, { skew: 6 }],
    ['SELinux', 'warning', /SELinux/, { facts: { selinux: 'enforcing' } }],
    ['swap', 'warning', /swap/, { facts: { swap: true } }],
    ['docker', 'warning', /docker runs/, { facts: { running: ['dockerd', 'containerd'] } }],
    ['docker by its socket', 'warning', /docker runs/, { facts: { sockets: ['docker'] } }],
    ['cri-o', 'warning', /cri-o runs/, { facts: { running: ['crio'] } }],
    [
      'a way out',
      'warning',
      /expected to be closed/,
      { facts: { defaultRoute: true, nameservers: ['10.0.0.1'] } },
    ],
    ['no python', 'error', /python3/, { facts: without('python') }],
    ['sudo with a password', 'error', /needs a password/, { facts: { sudo: 'password' } }],
    ['sudo with another password', 'error', /does not take/, { facts: { sudo: 'wrong' } }],
    ['no right to use sudo', 'error', /work: no tty/, { facts: { sudo: 'refused', sudoSays: 'no tty' } }],
    ['no sudo', 'error', /has no sudo/, { facts: { sudo: 'missing' } }],
    ['sudo that says nothing', 'error', /not known/, { facts: without('sudo') }],
    ['no GPU', 'warning', /no NVIDIA/, { roles: gpu }],
    ['Secure Boot', 'error', /Secure Boot/, { roles: gpu, facts: { nvidia: 1, secureBoot: true } }],
    ['nouveau', 'warning', /nouveau/, { roles: gpu, facts: { nvidia: 1, nouveau: true } }],
    ['another driver', 'warning', /550\.54/, { roles: gpu, facts: { nvidia: 1, driver: '550.54.15' } }],
  ])('tell %s, and nothing else', (_, level, what, one) => {
    expect(findings(one)).toEqual([
      { machine: 'm', level, what: expect.stringMatching(what), next: expect.stringMatching(/./) },
    ])
  })

  const inCluster = { kubernetes: false }
  it.each<[string, Case]>([
    ['one processor of a worker', { facts: { cpus: 1 }, roles: ['worker'] }],
    ['4 GiB of a worker', { facts: { memory: 4 * GiB }, roles: ['worker'] }],
    ['8 GiB that the kernel shows as less', { facts: { memory: 7.7 * GiB } }],
    ['the oldest kernel that will do', { facts: { kernel: '4.18.0-553.el8_10.x86_64' } }],
    ['a port of the API server on a worker', { facts: { ports: [6443] }, roles: ['worker'] }],
    ['ports of a cluster that is there', { facts: { ports: [6443, 10_250] }, expected: inCluster }],
    ['no systemd in a cluster that is there', { facts: { systemd: false }, expected: inCluster }],
    ['no systemd of an NFS server', { facts: { systemd: false }, roles: ['nfs'] }],
    ['one processor in a cluster that is there', { facts: { cpus: 1 }, expected: inCluster }],
    [
      'swap and docker in a cluster that is there',
      { facts: { swap: true, sockets: ['docker'] }, expected: inCluster },
    ],
    ['docker of an NFS server', { facts: { running: ['dockerd'] }, roles: ['nfs'] }],
    ['images on an NFS server', { facts: disks({ containerd: 0 }), roles: ['nfs'] }],
    [
      'images of a cluster that has room',
      { facts: { running: ['kubelet'], ...disks({ containerd: 6 * GiB }) } },
    ],
    ['a clock that is nearly right', { skew: 5 }],
    ['SELinux that only tells', { facts: { selinux: 'permissive' } }],
    ['any system where no packages are brought', { facts: other, expected: { repositories: [] } }],
    [
      'any architecture where none is known',
      { facts: { architecture: 'arm64' }, expected: { architectures: undefined } },
    ],
    [
      'Secure Boot of a machine without the role',
      { facts: { secureBoot: true, nouveau: true, driver: '470.1' } },
    ],
    [
      'Secure Boot with a driver that is loaded',
      { roles: gpu, facts: { nvidia: 1, secureBoot: true, driver: '535.1' } },
    ],
    [
      'a driver of the branch that the tree says',
      { roles: gpu, facts: { nvidia: 1, driver: '550.54.14' }, expected: { driverBranch: '550' } },
    ],
    [
      'a driver of any branch where none is installed',
      { roles: gpu, facts: { nvidia: 1, driver: '470.1' }, expected: { gpuDriver: false } },
    ],
    [
      'a driver where the tree names no branch',
      { roles: gpu, facts: { nvidia: 1, driver: '470.1' }, expected: { driverBranch: undefined } },
    ],
    [
      'Secure Boot where no driver is installed',
      { roles: gpu, facts: { nvidia: 1, secureBoot: true }, expected: { gpuDriver: false } },
    ],
  ])('have nothing against %s', (_, one) => {
    expect(findings(one)).toEqual([])
  })

  it('tell a machine that says nothing what it lacks, and guess nothing', () => {
    const silent: MachineFacts = { disks: {}, ports: [], running: [], sockets: [], nameservers: [] }
    const found = machineFindings({ node: nodeOf(gpu), facts: silent, expected, skew: 0 })
    expect(found.map(({ what }) => what)).toEqual([
      'runs unknown, for which the bundle has no packages',
      'has no python3, which ansible needs there',
      'it is not known whether the user may use sudo',
    ])
  })
})

it.each([
  [
    'Rocky Linux',
    { osId: 'rocky', osLike: ['rhel'], osVersion: '9.4', osPlatform: 'platform:el9' },
    ['rocky-9'],
  ],
  ['Rocky Linux', { osId: 'rocky', osLike: ['rhel'], osVersion: '9.4' }, ['el9', 'debian-12']],
  ['Debian', { osId: 'debian', osVersion: '12' }, ['debian-12']],
])('find the packages of %s under each name that a bundle may give them', (_name, os, repositories) => {
  const facts: MachineFacts = { ...good, osLike: [], ...os }
  const expects = { ...expected, repositories, packageBytes: new Map() }
  const found = machineFindings({ node: nodeOf(['worker']), facts, expected: expects, skew: 0 })
  expect(found.filter(({ what }) => what.includes('no packages'))).toEqual([])
})

it.each([
  ['within the time that it took', 105, 0],
  ['in the second in which it was asked', 100, 0],
  ['behind', 60, 39.5],
  ['ahead', 150, 40],
  ['not told', undefined, 0],
])('a clock: %s', (_, time, skew) => {
  expect(clockSkew(time, { from: 100.5, to: 110 })).toBe(skew)
})

describe('rules for all machines', () => {
  const machine = (name: string, facts: Partial<MachineFacts>) => ({ name, facts: { ...good, ...facts } })

  it('tell copies by their identity and by their name', () => {
    const found = siteFindings([
      machine('a', { machineId: '1', hostname: 'x' }),
      machine('b', { machineId: '1', hostname: 'y' }),
      machine('c', { machineId: '2', hostname: 'y' }),
    ])
    expect(found.map(({ machine, level, what }) => [machine, level, what])).toEqual([
      ['a', 'error', 'has the same /etc/machine-id as b'],
      ['b', 'error', 'has the same /etc/machine-id as a'],
      ['b', 'error', 'has the same host name (y) as c'],
      ['c', 'error', 'has the same host name (y) as b'],
    ])
  })

  it('have nothing against machines that do not say, or differ', () => {
    const silent = { machineId: undefined!, hostname: undefined! }
    expect(siteFindings([machine('a', silent), machine('b', silent)])).toEqual([])
    expect(siteFindings([machine('a', { hostname: 'a' }), machine('b', { hostname: 'b' })])).toEqual([])
  })
})

describe('rules for this host', () => {
  const host: HostFacts = {
    ...{ folder: '/opt/site', free: 10 * GiB, needed: 2 * GiB, python: { version: '3.11.2' }, ssh: true },
    ...{ sshpass: undefined, privateKey: { path: '/k', state: 'good' } },
    ports: [
      { port: 35_000, listen: '0.0.0.0', state: 'ours' },
      { port: 8080, listen: '0.0.0.0', state: 'free' },
    ],
  }
  const port = (state: HostFacts['ports'][number]['state']) => [{ port: 80, listen: '10.0.0.9', state }]

  it('have nothing against a good one', () => {
    expect(hostFindings(host)).toEqual([])
    expect(
      hostFindings({ ...host, free: undefined, python: undefined, sshpass: true, privateKey: undefined }),
    ).toEqual([])
  })

  it.each<[string, RegExp, Partial<HostFacts>]>([
    ['no room', /1\.0 GiB free in \/opt\/site, and 2\.0 GiB/, { free: GiB }],
    ['no Python', /no Python 3\.11/, { python: { lacks: 'has no Python 3.11', next: 'install it' } }],
    ['no ssh', /no ssh/, { ssh: false }],
    ['no sshpass', /no sshpass/, { sshpass: false }],
    ['a port that is taken', /port 80/, { ports: port('taken') }],
    ['a port for root', /may not listen/, { ports: port('forbidden') }],
    ['an address of another', /no address 10\.0\.0\.9/, { ports: port('no address') }],
    ['no key', /no \/k/, { privateKey: { path: '/k', state: 'missing' } }],
    ['a key for all', /read by others/, { privateKey: { path: '/k', state: 'open to others' } }],
  ])('tell %s', (_, what, facts) => {
    expect(hostFindings({ ...host, ...facts })).toEqual([
      { machine: 'this host', level: 'error', what: expect.stringMatching(what), next: expect.any(String) },
    ])
  })
})

describe('what ssh says', () => {
  const access = {
    ssh: { user: 'root', port: 22, password: false, sudo: 'passwordless' as const },
    passwords: {},
  }
  const said = (stderr: string, more: object = {}, passwords: { ssh?: string } = {}) =>
    refusal(
      { status: 255, stdout: '', stderr, timedOut: false, ...more },
      { node: { ...nodeOf(['worker']), port: 2222 }, access: { ...access, passwords } },
    )

  it.each([
    ['Connection refused', 'nothing listens at 10.0.0.1, port 2222', /systemctl/],
    [
      'ssh: connect to host 10.0.0.1 port 22: Connection timed out',
      '10.0.0.1 cannot be reached',
      /turn it on/,
    ],
    ['ssh: connect to host 10.0.0.1 port 22: No route to host', '10.0.0.1 cannot be reached', /cable/],
    ['root@10.0.0.1: Permission denied (publickey).', '10.0.0.1 does not let root in', /authorized_keys/],
    ['Received disconnect: Too many authentication failures', '10.0.0.1 does not let root in', /agent/],
    [
      '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.',
      '10.0.0.1 answers with another host key than before',
      /offline-deploy nodes forget m/,
    ],
    ['kex_exchange_identification: Connection reset', /^sshd ends the connection: kex/, /MaxStartups/],
    ['Connection timed out during banner exchange', /^sshd ends the connection/, /full disk/],
    ['', /^runs no command for root \(exit code 255\)$/, /ssh root@10\.0\.0\.1 true/],
    ['\u001b[31mno shell', /^runs no command for root \(exit code 255\): no shell$/, /by hand/],
  ])('%j', (stderr, what, next) => {
    const found = said(stderr)
    expect(found.what).toMatch(what)
    expect(found.next).toMatch(next)
  })

  it('with a password', () => {
    expect(said('', { status: 5 }, { ssh: '/x' }).next).toContain('OFFLINE_DEPLOY_SSH_PASSWORD')
    expect(said('', { status: 'SIGKILL', timedOut: true }).what).toContain('does not answer in time')
  })
})

describe('the machines that are meant', () => {
  const nodes: SiteNode[] = [
    { name: 'a', address: '10.0.0.1', roles: ['control-plane'] },
    { name: 'b', address: '10.0.0.2', roles: ['worker', 'gpu'] },
    { name: 'c', address: '10.0.0.3', roles: ['nfs'] },
  ]
  it.each([
    [undefined, ['a', 'b', 'c']],
    ['all', ['a', 'b', 'c']],
    ['b,c', ['b', 'c']],
    ['k8s_cluster', ['a', 'b']],
    ['all,!gpu_node', ['a', 'c']],
    ['etcd,nfs_server', ['a', 'c']],
  ])('%s', (limit, names) => {
    expect(limitedNodes(nodes, limit).map(({ name }) => name)).toEqual(names)
  })
  it.each(['d', 'a,!d', 'a,!all', 'constructor', ''])('%j is refused', limit => {
    expect(() => limitedNodes(nodes, limit)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})

it('a finding of many machines is told once, errors first', () => {
  const one = (machine: string, level: 'error' | 'warning', what: string) => ({
    machine,
    level,
    what,
    next: 'do',
  })
  const many = Array.from({ length: 1_000 }, (_, i) => one(`m${i}`, 'warning', 'swap is on'))
  expect(findingLines([...many, one('x', 'error', 'is off'), one('y', 'error', 'is off')])).toEqual([
    'x, y: is off → do',
    'm0, m1, m2, m3, m4, m5, m6, m7 and 992 more: swap is on → do',
  ])
})
