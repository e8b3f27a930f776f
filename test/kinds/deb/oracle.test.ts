import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { closureOf } from '../../../src/kinds/deb/closure.ts'
import { readPackages } from '../../../src/kinds/deb/packages.ts'
import { fetchRelease } from '../../../src/kinds/deb/release.ts'
import { Universe } from '../../../src/kinds/deb/universe.ts'
import { type AptSandbox, aptSandbox } from './support/apt.ts'
import { missing, tempFolder } from './support/programs.ts'
import { sourceOf, withContext } from './support/resolve.ts'

const archive = 'http://deb.debian.org/debian'
const key = join(import.meta.dirname, '../../../manifests/keys/debian-archive.asc')
const probe = ['--fail', '--silent', '--head', '--max-time', '10', `${archive}/dists/bookworm/InRelease`]
const lacking = [
  ...missing('apt-get', 'curl'),
  ...(spawnSync('curl', probe).status === 0 ? [] : ['deb.debian.org']),
]

/** What our closure is held against: apt itself, on the same real suite, on an empty system. */
describe.skipIf(lacking.length > 0)(`closure and apt (needs ${lacking.join(', ') || 'nothing more'})`, () => {
  const resources = new AsyncDisposableStack()
  let universe: Universe
  let apt: AptSandbox

  beforeAll(async () => {
    const { path: folder } = resources.use(await tempFolder())
    const request = { ...sourceOf({ archive, suite: 'bookworm', keys: [key] }), at: 'here' }
    const { lists } = await withContext({ folder }, async context => {
      const release = await fetchRelease(request, context)
      return readPackages(request, { release, architecture: 'amd64' }, context)
    })
    universe = new Universe(lists, { architecture: 'amd64' })
    const sources = `Types: deb\nURIs: ${archive}\nSuites: bookworm\nComponents: main\nSigned-By: ${key}\n`
    apt = await aptSandbox(join(folder, 'apt'), { sources })
    const update = await apt.apt('update')
    expect(update.status, update.stdout + update.stderr).toBe(0)
  })
  afterAll(() => resources.disposeAsync())

  const requests = [
    'jq',
    'socat',
    'ipvsadm',
    'nfs-common',
    'nfs-kernel-server chrony',
    'python3-venv',
    'build-essential',
    'openssh-server',
    'postfix mailutils',
    'haproxy keepalived',
    'containerd',
    'linux-image-amd64 dkms',
    'ansible',
    'postgresql',
    'ubuntu-dev-tools',
    'gedit-source-code-browser-plugin',
    'lvm2 mdadm open-iscsi multipath-tools',
    'conntrack ebtables ethtool iproute2 iptables ipset',
    'texlive-full',
    'qemu-system-x86 ovmf',
  ]

  const withRecommends = [
    'openssh-server',
    'postfix mailutils',
    'texlive-full',
    'kde-full',
    'linux-image-amd64 dkms',
  ]

  it.each([
    ...requests.map(names => [names, false] as const),
    ...withRecommends.map(names => [names, true] as const),
  ])('install %s, with Recommends: %s', async (names, recommends) => {
    const theirs = await apt.wouldInstall(names.split(' '), { recommends })
    const ours = closureOf(universe, { names: names.split(' '), recommends, at: 'test' }).map(
      ({ candidate }) => `${candidate.name}_${candidate.version}_${candidate.architecture}`,
    )
    expect(theirs.length).toBeGreaterThan(0)
    expect(ours.sort()).toEqual(theirs)
  })
})
