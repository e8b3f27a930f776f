import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ClosedNetwork,
  networkPrograms,
  openClosedNetwork,
} from '../../scripts/lib/machines/closed-network.ts'
import { type ClosedSite, serveInClosedNetwork } from '../../scripts/lib/machines/closed-site.ts'
import { openNode, type SiteNode } from '../../scripts/lib/machines/containerd-node.ts'
import { type ElRoot, elRootPrograms, openElRoot } from '../../scripts/lib/machines/el-root.ts'
import { cacheFolder, home } from '../../scripts/lib/places.ts'
import { isRoot, missingPrograms } from '../../scripts/lib/run.ts'
import { debianRoot, debianRootPrograms } from '../../scripts/lib/upstreams/debian-images.ts'
import { el9 } from '../../scripts/lib/upstreams/el-packages.ts'
import { elPrograms, makeElRepositories } from '../../scripts/lib/upstreams/el-repository.ts'
import type { LockedRpms } from '../../src/kinds/rpm/locked.ts'
import { readLock } from '../../src/lock/lock.ts'
import { serveFolder } from '../kinds/deb/support/server.ts'
import { packageNames } from '../package-lists/package-names.ts'
import { airgap } from './lib/airgap.ts'

const lists = join(home, 'package-lists')

const reached = (url: string) =>
  spawnSync('curl', ['--fail', '--silent', '--head', '--max-time', '10', url]).status === 0
const lacking = [...(isRoot ? [] : ['root']), ...missingPrograms(['curl', ...networkPrograms])]
const lackingForDebian = [
  ...lacking,
  ...missingPrograms(debianRootPrograms),
  ...(reached('http://deb.debian.org/debian/dists/bookworm/InRelease') ? [] : ['deb.debian.org']),
  ...(reached('https://pypi.org/simple/pbr/') ? [] : ['pypi.org']),
]
const lackingForEl = [...lacking, ...missingPrograms([...elPrograms, ...elRootPrograms])]
const needs = (programs: string[]) => `needs ${programs.join(', ') || 'nothing more'}`

/** Hundreds of packages are downloaded and unpacked while other tests run. */
const patience = 420_000

/** Stock clients that verify every signature, in a network without a way out; the site serves two bundles at once. */
describe.skipIf(lackingForDebian.length > 0 && lackingForEl.length > 0)(
  `packages in a closed network (${needs([...new Set([...lackingForDebian, ...lackingForEl])])})`,
  () => {
    const resources = new AsyncDisposableStack()
    let work: string
    let network: ClosedNetwork
    let site: ClosedSite

    beforeAll(async () => {
      work = await mkdtemp(join(tmpdir(), 'airgap-e2e-packages-'))
      resources.defer(() => rm(work, { recursive: true, force: true }))
      const bundles: string[] = []
      if (lackingForDebian.length === 0)
        bundles.push(await build('public', join(home, 'manifests', 'packages.yaml')))
      if (lackingForEl.length === 0) {
        const upstream = join(work, 'el9')
        await makeElRepositories(upstream, el9)
        await using server = await serveFolder(upstream)
        const manifest = join(work, 'el9.yaml')
        await writeFile(manifest, elManifest(upstream, server.url))
        bundles.push(await build('el9', manifest))
      }
      network = resources.use(await openClosedNetwork())
      const [first, ...more] = bundles
      const folder = join(work, 'site')
      site = resources.use(await serveInClosedNetwork(network, { folder, bundles: [first!, ...more] }))
    }, patience)

    afterAll(async () => {
      await resources.disposeAsync()
    })

    /** The connected host: manifest → lock → bundle. */
    async function build(name: string, manifest: string): Promise<string> {
      const lock = ['--lock', join(work, `${name}.lock.json`), '--cache', join(work, 'cache')]
      const common = ['-f', manifest, ...lock]
      const bundle = join(work, `${name}.tar`)
      for (const args of [
        ['lock', ...common],
        ['build', ...common, '--frozen', '--out', bundle],
      ]) {
        const { code, stderr } = await airgap(args)
        expect(code, stderr).toBe(0)
      }
      return bundle
    }

    const namesOf = async (distribution: string, topics: string[]) =>
      (await Promise.all(topics.map(topic => packageNames(join(lists, distribution, `${topic}.txt`))))).flat()

    describe.skipIf(lackingForDebian.length > 0)(`a fresh Debian 12 (${needs(lackingForDebian)})`, () => {
      const source = 'etc/apt/sources.list.d/airgap-debian-12.sources'
      const siteKey = 'etc/apt/keyrings/airgap-site.asc'
      let node: SiteNode

      beforeAll(async () => {
        await mkdir(join(work, 'node'))
        const rootTar = await debianRoot(cacheFolder)
        node = resources.use(await openNode(network.node, { folder: join(work, 'node'), rootTar }))
      }, patience)

      const install = (names: string[]) =>
        node.chroot(['apt-get', 'install', '-y', '--no-install-recommends', ...names])

      it('apt-get refuses the repository where another key than the site’s is configured', async () => {
        const [text = ''] = await site.putClientFiles(node.root, [source, siteKey])
        expect(text).toMatch(/^Signed-By: \/etc\/apt\/keyrings\/airgap-site\.asc$/m)
        expect(text).not.toMatch(/trusted/i)
        const other = 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg'
        await writeFile(join(node.root, source), text.replace(/^Signed-By: .*$/gm, other))
        await expect(node.chroot(['apt-get', 'update'])).rejects.toThrow(/NO_PUBKEY|not signed/)
      })

      it(
        'apt-get installs the whole kubespray list, NFS, and the build tools for GPU drivers',
        async () => {
          await site.putClientFiles(node.root, [source, siteKey])
          await node.chroot(['apt-get', 'update'])
          const names = await namesOf('debian/12', ['kubespray', 'nfs', 'gpu-build'])
          const said = await install(names)
          expect(Number(/(\d+) newly installed/.exec(said)?.[1])).toBeGreaterThan(150)
          expect(/^Err:|^W:|^E:|cannot be authenticated/m.exec(said)).toBeNull()
          const configured = await node.chroot(['apt-get', 'indextargets', '--format', '$(SITE)'])
          const others = configured
            .trim()
            .split('\n')
            .filter(place => !place.startsWith(`${site.http}/debs/`))
          expect(others).toEqual([])
          const format = '${db:Status-Abbrev} ${Package}\n'
          const installed = await node.chroot(['dpkg-query', '-W', '-f', format, ...names])
          expect(
            installed
              .trim()
              .split('\n')
              .filter(line => !line.startsWith('ii ')),
          ).toEqual([])
        },
        patience,
      )

      it('DKMS builds a module for the kernel whose headers the bundle has', async () => {
        const folder = join(node.root, 'usr', 'src', 'hello-1.0')
        await mkdir(folder)
        for (const [name, text] of Object.entries(helloModule)) await writeFile(join(folder, name), text)
        const [kernel] = await readdir(join(node.root, 'lib', 'modules'))
        await node.chroot(['dkms', 'build', 'hello/1.0', '-k', kernel!])
        expect(await node.chroot(['dkms', 'status'])).toMatch(/^hello\/1\.0, .*: built/m)
      }, 60_000)

      describe('pip', () => {
        const pip = (args: string[]) => node.chroot(['/opt/kubespray/bin/pip', '--no-input', ...args])
        const requirements = join(lists, 'python', 'kubespray-2.24.1.txt')

        beforeAll(async () => {
          await install(await namesOf('debian/12', ['ansible-host']))
          const [text] = await site.putClientFiles(node.root, ['etc/pip.conf'])
          expect(text).not.toMatch(/no-index|extra-index/)
          await node.chroot(['python3', '-m', 'venv', '/opt/kubespray'])
        }, patience)

        it('refuses a wheel with another hash than expected', async () => {
          const wrong = `pbr==5.11.1 --hash=sha256:${'0'.repeat(64)}\n`
          await writeFile(join(node.root, 'root', 'wrong.txt'), wrong)
          await expect(pip(['install', '-r', '/root/wrong.txt'])).rejects.toThrow(/DO NOT MATCH THE HASHES/)
        })

        it(
          'installs kubespray’s requirements into a new environment, from the site’s index only',
          async () => {
            await writeFile(join(node.root, 'root', 'requirements.txt'), await readFile(requirements))
            const said = await pip(['install', '-r', '/root/requirements.txt'])
            expect(said).toMatch(/Successfully installed .*ansible-8\.5\.0/)
            const places = [...said.matchAll(/https?:\/\/[^/\s]+/g)].map(([place]) => place)
            expect(new Set(places)).toEqual(new Set([site.http]))
            expect(await pip(['check'])).toMatch(/No broken requirements/)
            const version = await node.chroot(['/opt/kubespray/bin/ansible', '--version'])
            // what kubespray v2.24.1 asserts: 2.15.5 <= x < 2.17.0
            expect(version).toMatch(/^ansible \[core 2\.15\.([5-9]|\d\d)\]/)
          },
          patience,
        )
      })
    })

    describe.skipIf(lackingForEl.length > 0)(`an empty root of EL 9 (${needs(lackingForEl)})`, () => {
      const clients = {
        repository: 'etc/yum.repos.d/airgap-el9.repo',
        siteKey: 'etc/pki/rpm-gpg/RPM-GPG-KEY-airgap-site',
      }

      /** A machine with the site's client files. */
      async function machine(name: string): Promise<ElRoot> {
        const options = { inside: network.node.inside, platform: 'platform:el9' }
        const el = await openElRoot(join(work, name), options)
        const text = await site.clientFile(clients.repository)
        expect(text).toMatch(/^gpgcheck=1$/m)
        expect(text).toMatch(/^repo_gpgcheck=1$/m)
        expect(text).not.toMatch(/gpgcheck=0/)
        const keys = [...text.matchAll(/file:\/\/\/(etc\/pki\/rpm-gpg\/[^\s,]+)/g)].map(match => match[1]!)
        await site.putClientFiles(el.root, [...new Set(keys)])
        await el.putRepository('site', text)
        return el
      }

      it('dnf refuses the repository where another key than the site’s is configured', async () => {
        const el = await machine('el-list')
        const publisher = await readFile(join(work, 'el9', 'publisher.asc'))
        await writeFile(join(el.root, clients.siteKey), publisher)
        await expect(el.dnf(['install', 'bash'])).rejects.toThrow(/GPG|signature/i)
        expect(await el.installed()).toEqual([])
      })

      it('dnf refuses the packages where their publisher’s key is missing', async () => {
        const el = await machine('el-package')
        const siteKey = await readFile(join(el.root, clients.siteKey))
        const keys = join(el.root, 'etc', 'pki', 'rpm-gpg')
        for (const name of await readdir(keys)) await writeFile(join(keys, name), siteKey)
        await expect(el.dnf(['install', 'bash'])).rejects.toThrow(/GPG/)
        expect(await el.installed()).toEqual([])
      })

      it('dnf installs the kubespray list, NFS, the build tools for GPU drivers, and the driver of a module stream', async () => {
        const el = await machine('el-good')
        const names = await namesOf('rhel/9', ['kubespray', 'nfs', 'gpu-build'])
        const said = await el.dnf(['install', ...names, '@nvidia-driver:535-dkms'])
        expect(said).toMatch(/Complete!/)
        const installed = await el.installed()
        expect(installed.length).toBeGreaterThan(50)
        // exactly what the bundle has: the closure and dnf agree
        expect(installed).toEqual(await lockedRpms(join(work, 'el9.lock.json')))
        expect(installed).toContain('nvidia-driver-3:535.161.08-1.el9.x86_64')
        // requested by a capability that they provide
        for (const provider of ['conntrack-tools-0:1.4.7-1.el9.x86_64', 'iptables-nft-0:1.8.10-1.el9.x86_64'])
          expect(installed).toContain(provider)
      }, 60_000)
    })

    it('nothing was sent out of the closed network', async () => {
      expect(await network.escapeAttempts()).toBe(0)
    })
  },
)

/** In the form of `ElRoot.installed`. */
async function lockedRpms(path: string): Promise<string[]> {
  const items = ((await readLock(path)).items['rpm'] ?? []) as LockedRpms[]
  const packages = items.flatMap(item => item.packages)
  return packages
    .map(rpm => `${rpm.name}-${rpm.epoch}:${rpm.version}-${rpm.release}.${rpm.architecture}`)
    .sort()
}

function elManifest(upstream: string, url: string): string {
  const repositories = el9.map(({ id }) => ({
    id,
    baseurl: `${url}/${id}`,
    keys: [join(upstream, 'publisher.asc')],
  }))
  const list = (topic: string) => join(lists, 'rhel', '9', `${topic}.txt`)
  return JSON.stringify({
    apiVersion: 'airgap/v1',
    name: 'el9',
    version: '1.0.0',
    rpms: [
      {
        name: 'el9',
        repositories,
        modules: ['nvidia-driver:535-dkms/default'],
        lists: [list('kubespray'), list('nfs'), list('gpu-build')],
      },
    ],
  })
}

const helloModule = {
  'dkms.conf': [
    'PACKAGE_NAME="hello"',
    'PACKAGE_VERSION="1.0"',
    'BUILT_MODULE_NAME[0]="hello"',
    'DEST_MODULE_LOCATION[0]="/updates/dkms"',
    'AUTOINSTALL="yes"',
    '',
  ].join('\n'),
  Makefile: 'obj-m := hello.o\n',
  'hello.c': [
    '#include <linux/module.h>',
    'static int __init hello(void) { return 0; }',
    'module_init(hello);',
    'MODULE_LICENSE("GPL");',
    '',
  ].join('\n'),
}
