import { describe, expect, it } from 'vitest'
import type { MachineFacts } from '../../../src/install/preflight/facts.ts'
import { machineFindings } from '../../../src/install/preflight/rules.ts'
import type { Expected } from '../../../src/install/preflight/subject.ts'
import { clockSkew } from '../../../src/install/preflight/system-rules.ts'
import type { NodeRole, SiteNode } from '../../../src/inventory/schema.ts'

const MiB = 1 << 20
const GiB = 1 << 30
const disk = (free: number, device = '1') => ({ free, device })

const good: MachineFacts = {
  osId: 'ubuntu',
  osLike: ['debian'],
  osVersion: '22.04',
  osName: 'Ubuntu 22.04.3 LTS',
  kernel: '5.15.0-91-generic',
  architecture: 'amd64',
  cpus: 8,
  memory: 16 * GiB,
  disks: { root: disk(100 * GiB), var: disk(100 * GiB), containerd: disk(100 * GiB), etcd: disk(100 * GiB) },
  ports: [],
  time: 0,
  selinux: 'disabled',
  apparmor: true,
  swap: false,
  running: [],
  sockets: [],
  defaultRoute: false,
  nameservers: [],
  proxies: [],
  noProxy: [],
  python: '3.10.12',
  sudo: 'ok',
  hostname: 'm',
  systemd: true,
  nvidia: 0,
  nouveau: false,
  secureBoot: false,
}
const expected: Expected = {
  kubernetes: true,
  gpuDriver: true,
  driverBranch: '535',
  repositories: ['ubuntu-22.04'],
  architectures: ['amd64'],
  imageBytes: 10 * GiB,
  fileBytes: GiB,
  siteHost: '10.0.0.10',
  packageBytes: new Map([['ubuntu-22.04', GiB]]),
  podMachines: 3,
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
  it('report nothing for a good one', () => {
    for (const roles of [['control-plane', 'worker'], ['control-plane'], ['worker'], ['nfs']] as NodeRole[][])
      expect(findings({ roles })).toEqual([])
    expect(findings({ roles: ['worker', 'gpu'], facts: { nvidia: 8, driver: '535.183.01' } })).toEqual([])
  })

  it.each<[string[], string[], RegExp]>([
    [
      ['apt=p:3128', 'environment=p:3128'],
      [],
      /^uses a proxy \(apt p:3128, environment p:3128\); the site's address 10\.0\.0\.10 is not exempt for apt, environment$/,
    ],
    [
      ['apt=p:3128', 'containerd=p:1'],
      ['apt=10.0.0.10', 'containerd=localhost,10.0.0.1'],
      /not exempt for containerd$/,
    ],
    [['apt=p:3128'], ['apt=10.0.0.10'], /the site's address 10\.0\.0\.10 is exempt$/],
    [['environment=p:3128'], ['environment=localhost,10.0.0.0/8'], /is exempt$/],
    [['environment=p:3128'], ['environment=10.0.0.0/32'], /not exempt for environment$/],
    [['docker=p:3128'], ['docker=*'], /is exempt$/],
    [['dnf=p:3128'], [], /is exempt$/],
  ])('report proxies: %j with %j', (proxies, noProxy, what) => {
    expect(findings({ facts: { proxies, noProxy } })).toEqual([
      { machine: 'm', level: 'warning', what: expect.stringMatching(what), next: expect.any(String) },
    ])
  })

  it('compare a site that has a name with domains', () => {
    const of = (noProxy: string) =>
      findings({
        facts: { proxies: ['environment=p:1'], noProxy: [`environment=${noProxy}`] },
        expected: { siteHost: 'repo.site.example' },
      })[0]!.what
    for (const exempt of ['site.example', '.site.example', '*.example', 'repo.site.example'])
      expect(of(exempt), exempt).toMatch(/is exempt$/)
    for (const other of ['ite.example', 'other.example', '10.0.0.0/8'])
      expect(of(other), other).toMatch(/is not exempt/)
  })

  const other = { osId: 'arch', osLike: [], osVersion: '2024', osName: 'Arch' }
  const gpu: NodeRole[] = ['worker', 'gpu']
  it.each<[string, 'error' | 'warning', RegExp, Case]>([
    ['another system', 'error', /no packages \(arch-2024\)/, { facts: other }],
    [
      'a system of no name',
      'error',
      /runs an unknown system, for which/,
      { facts: { ...without('osId'), osName: undefined! } },
    ],
    ['another release', 'error', /ubuntu-24\.04/, { facts: { osVersion: '24.04' } }],
    ['another architecture', 'error', /is arm64/, { facts: { architecture: 'arm64' } }],
    ['no systemd', 'error', /systemd/, { facts: { systemd: false } }],
    ['an old kernel', 'error', /3\.10/, { facts: { kernel: '3.10.0-1160.el7.x86_64' } }],
    ['a kernel just too old', 'error', /4\.17/, { facts: { kernel: '4.17.9' } }],
    ['one processor', 'error', /1 CPU/, { facts: { cpus: 1 } }],
    ['little memory', 'error', /1699 MiB/, { facts: { memory: 1700 * MiB - 1 } }],
    ['little memory of a worker', 'error', /1023 MiB/, { facts: { memory: GiB - 1 }, roles: ['worker'] }],
    ['memory for no applications', 'warning', /8 GiB are recommended/, { facts: { memory: 4 * GiB } }],
    ['no room for packages', 'error', /for \/var;/, { facts: disks({ var: GiB - 1 }) }],
    [
      'no room for images',
      'error',
      /containerd; 30\.0 GiB needed/,
      { facts: disks({ containerd: 10 * GiB - 1 }) },
    ],
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
      /already runs there \(ports 2379/,
      { facts: { ports: [2379], running: ['etcd'] } },
    ],
    [
      'a cluster',
      'warning',
      /already runs there \(ports 6443/,
      { facts: { ports: [6443], running: ['kubelet'] } },
    ],
    ['a clock that is off', 'error', /31 s/, { skew: 30.6 }],
    ['a clock that is a bit off', 'warning', /6 s/, { skew: 6 }],
    [
      'a clock before the certificate of the servers',
      'error',
      /shows 2023-11-14, so it would refuse the certificate .* valid from 2025-01-29 until 2026-02-10/,
      {
        skew: 60e6,
        facts: { time: 1_700_000_000 },
        expected: { certificate: { from: 1_738_150_000, until: 1_770_700_000 } },
      },
    ],
    [
      'a clock after it',
      'error',
      /shows 2033-05-18, so it would refuse/,
      {
        skew: 200e6,
        facts: { time: 2_000_000_000 },
        expected: { certificate: { from: 1_738_150_000, until: 1_770_700_000 } },
      },
    ],
    [
      'a clock far in the future',
      'error',
      /shows 5138-11-16, so it would refuse/,
      {
        skew: 1e11,
        facts: { time: 99_999_999_999 },
        expected: { certificate: { from: 1_738_150_000, until: 1_770_700_000 } },
      },
    ],
    [
      'a clock that is off, but not by that much',
      'error',
      /31 s; certificates would not be valid/,
      {
        skew: 31,
        facts: { time: 1_750_000_000 },
        expected: { certificate: { from: 1_738_150_000, until: 1_770_700_000 } },
      },
    ],
    ['SELinux', 'warning', /SELinux/, { facts: { selinux: 'enforcing' } }],
    ['swap', 'warning', /swap/, { facts: { swap: true } }],
    ['docker', 'warning', /docker runs/, { facts: { running: ['dockerd', 'containerd'] } }],
    ['docker by its socket', 'warning', /docker runs/, { facts: { sockets: ['docker'] } }],
    ['cri-o', 'warning', /cri-o runs/, { facts: { running: ['crio'] } }],
    [
      'a way out',
      'warning',
      /should have none that leads outside/,
      { facts: { defaultRoute: true, nameservers: ['10.0.0.1'] } },
    ],
    ['no python', 'error', /python3/, { facts: without('python') }],
    ['sudo with a password', 'error', /requires a password/, { facts: { sudo: 'password' } }],
    ['sudo with another password', 'error', /rejects the password/, { facts: { sudo: 'wrong' } }],
    ['no right to use sudo', 'error', /work: no tty/, { facts: { sudo: 'refused', sudoSays: 'no tty' } }],
    ['no sudo', 'error', /has no sudo/, { facts: { sudo: 'missing' } }],
    ['sudo that says nothing', 'error', /unknown/, { facts: without('sudo') }],
    ['no GPU', 'warning', /no NVIDIA/, { roles: gpu }],
    ['Secure Boot', 'error', /Secure Boot/, { roles: gpu, facts: { nvidia: 1, secureBoot: true } }],
    ['nouveau', 'warning', /nouveau/, { roles: gpu, facts: { nvidia: 1, nouveau: true } }],
    ['another driver', 'warning', /550\.54/, { roles: gpu, facts: { nvidia: 1, driver: '550.54.15' } }],
  ])('report %s, and nothing else', (_, level, what, one) => {
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
    ['SELinux that is permissive', { facts: { selinux: 'permissive' } }],
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
  ])('report nothing for %s', (_, one) => {
    expect(findings(one)).toEqual([])
  })

  it('report what a machine that answers nothing lacks, and guess nothing', () => {
    const silent: MachineFacts = {
      disks: {},
      ports: [],
      running: [],
      sockets: [],
      nameservers: [],
      proxies: [],
      noProxy: [],
    }
    const found = machineFindings({ node: nodeOf(gpu), facts: silent, expected, skew: 0 })
    expect(found.map(({ what }) => what)).toEqual([
      'runs an unknown system, for which the bundle has no packages',
      'has no python3, which ansible requires',
      'it is unknown whether the user may use sudo',
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
  ['in the second in which it was read', 100, 0],
  ['behind', 60, 39.5],
  ['ahead', 150, 40],
  ['not reported', undefined, 0],
])('a clock: %s', (_, time, skew) => {
  expect(clockSkew(time, { from: 100.5, to: 110 })).toBe(skew)
})
