import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadManifest } from '../../src/manifest/load.ts'
import { airgap } from '../e2e/lib/airgap.ts'
import { packageNames } from './package-names.ts'

const home = resolve(import.meta.dirname, '..', '..')
const folder = join(home, 'package-lists')
const lists = (await readdir(folder, { recursive: true })).filter(name => name.endsWith('.txt')).sort()
const of = (release: string) =>
  lists.filter(name => name.startsWith(`${release}/`)).map(name => join(folder, name))

let work: string
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'airgap-lists-'))
})
afterAll(async () => {
  await rm(work, { recursive: true, force: true })
})

async function manifest(name: string, entries: object): Promise<string> {
  const path = join(work, `${name}.yaml`)
  await writeFile(path, JSON.stringify({ apiVersion: 'airgap/v1', name, version: '1.0.0', ...entries }))
  return path
}

describe('package-lists', () => {
  it('every supported release has lists for kubespray, NFS, the driver’s build tools and ansible’s Python', () => {
    const releases = [
      'ubuntu/20.04',
      'ubuntu/22.04',
      'ubuntu/24.04',
      'rhel/8',
      'rhel/9',
      'debian/11',
      'debian/12',
      'debian/13',
    ]
    const wanted = releases.flatMap(release =>
      ['ansible-host', 'gpu-build', 'kubespray', 'nfs'].map(topic => `${release}/${topic}.txt`),
    )
    expect(lists).toEqual(expect.arrayContaining(wanted))
  })

  it.each(lists)('%s names each package once', async name => {
    const names = await packageNames(join(folder, name))
    expect(names.length).toBeGreaterThan(0)
    expect(names.filter((text, i) => names.indexOf(text) !== i)).toEqual([])
  })

  it('a manifest can use all of them', async () => {
    const source = { archive: 'http://example.org/', suites: ['x'], keys: ['k'] }
    const repository = { id: 'x', baseurl: 'http://example.org/', keys: ['k'] }
    const loaded = await loadManifest(
      await manifest('all', {
        debs: ['ubuntu', 'debian'].map(name => ({ name, sources: [source], lists: of(name) })),
        rpms: [{ name: 'el9', repositories: [repository], lists: of('rhel') }],
        wheels: [{ name: 'x', pythons: ['3.11'], requirements: of('python') }],
      }),
    )
    expect(loaded.debs.map(({ packages }) => packages.length > 20)).toEqual([true, true])
    expect(loaded.rpms[0]?.packages).toContain('container-selinux')
    expect(loaded.wheels[0]?.requirements.map(({ text }) => text)).toContain('ansible==8.5.0')
  })
})

describe('the packages of manifests/astrago.yaml', () => {
  it('have a variant for each release, with existing lists and streams', async () => {
    const variants = ['ubuntu-20.04', 'ubuntu-22.04', 'ubuntu-24.04', 'el8', 'el9']
    const { debs, rpms } = await loadManifest(join(home, 'manifests', 'astrago.yaml'), { variants })
    expect(debs.map(({ name }) => name)).toEqual(['ubuntu-20.04', 'ubuntu-22.04', 'ubuntu-24.04'])
    expect(rpms.map(({ name, modules }) => [name, modules])).toEqual([
      ['el8', ['nvidia-driver:535-dkms']],
      ['el9', ['nvidia-driver:535-dkms']],
    ])
    for (const { packages } of [...debs, ...rpms])
      expect(packages).toEqual(expect.arrayContaining(['conntrack', 'dkms', 'ipvsadm', 'socat']))
  })
})

const reached = spawnSync('curl', [
  '--fail',
  '--silent',
  '--head',
  '--max-time',
  '10',
  'http://deb.debian.org/debian/dists/trixie/InRelease',
])

describe.skipIf(reached.status !== 0)('the lists of Debian (needs deb.debian.org)', () => {
  it.each([
    ['11', 'bullseye', ['main', 'contrib', 'non-free']],
    ['12', 'bookworm', ['main', 'contrib', 'non-free', 'non-free-firmware']],
    ['13', 'trixie', ['main']],
  ])(
    'are all in release %s',
    async (release, suite, components) => {
      const names = (await Promise.all(of(`debian/${release}`).map(packageNames))).flat()
      const path = await manifest(`debian-${release}`, {
        debs: [
          {
            name: `debian-${release}`,
            archive: 'http://deb.debian.org/debian',
            suite,
            components,
            keys: [relative(work, join(home, 'manifests', 'keys', 'debian-archive.asc'))],
            packages: names,
          },
        ],
      })
      const options = ['--lock', join(work, `${release}.lock`), '--cache', join(work, 'cache'), '--dry-run']
      expect(await airgap(['lock', '-f', path, ...options])).toMatchObject({ code: 0 })
    },
    60_000,
  )
})
