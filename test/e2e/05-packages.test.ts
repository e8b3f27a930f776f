import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ClosedNetwork, networkPrograms, openClosedNetwork } from '../../scripts/lib/closed-network.ts'
import { type ClosedSite, serveInClosedNetwork } from '../../scripts/lib/closed-site.ts'
import { debianRoot, debianRootPrograms } from '../../scripts/lib/debian-images.ts'
import { openNode, type SiteNode } from '../../scripts/lib/node.ts'
import { packageNames } from '../../scripts/lib/package-list.ts'
import { isRoot, missingPrograms } from '../../scripts/lib/run.ts'
import { airgap } from './lib/airgap.ts'

const home = resolve(import.meta.dirname, '..', '..')
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'airgap-demo')

const reached = (url: string) =>
  spawnSync('curl', ['--fail', '--silent', '--head', '--max-time', '10', url]).status === 0
const lacking = [
  ...(isRoot ? [] : ['root']),
  ...missingPrograms(['curl', ...networkPrograms, ...debianRootPrograms]),
  ...(reached('http://deb.debian.org/debian/dists/bookworm/InRelease') ? [] : ['deb.debian.org']),
  ...(reached('https://pypi.org/simple/pbr/') ? [] : ['pypi.org']),
]

/** Hundreds of packages are fetched, and later unpacked. */
const patience = 240_000

/** Must show 3 of issue 3: stock clients, every signature checked, in a network that leads nowhere. */
describe.skipIf(lacking.length > 0)(
  `packages in a closed network (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let work: string
    let network: ClosedNetwork
    let site: ClosedSite

    beforeAll(async () => {
      work = await mkdtemp(join(tmpdir(), 'airgap-e2e-packages-'))
      resources.defer(() => rm(work, { recursive: true, force: true }))
      const manifest = ['-f', join(home, 'manifests', 'packages.yaml')]
      const common = [...manifest, '--lock', join(work, 'packages.lock.json'), '--cache', join(work, 'cache')]
      expect(await airgap(['lock', ...common])).toMatchObject({ code: 0 })
      const bundle = join(work, 'packages.tar')
      expect(await airgap(['build', ...common, '--frozen', '--out', bundle])).toMatchObject({ code: 0 })
      network = resources.use(await openClosedNetwork())
      site = resources.use(
        await serveInClosedNetwork(network, { folder: join(work, 'site'), bundles: [bundle] }),
      )
    }, patience)

    afterAll(async () => {
      await resources.disposeAsync()
    })

    describe('a fresh Debian 12', () => {
      let node: SiteNode

      beforeAll(async () => {
        await mkdir(join(work, 'node'))
        const rootTar = await debianRoot(cache)
        node = resources.use(await openNode(network.node, { folder: join(work, 'node'), rootTar }))
      }, patience)

      it('apt-get refuses the repository where another key than the site’s stands', async () => {
        const [source] = await site.putClientFiles(node.root, [debSource, siteKey])
        expect(source).toMatch(/^Signed-By: \/etc\/apt\/keyrings\/airgap-site\.asc$/m)
        expect(source).not.toMatch(/trusted/i)
        const other = '/usr/share/keyrings/debian-archive-keyring.gpg'
        const refused = source!.replace(/^Signed-By: .*$/gm, `Signed-By: ${other}`)
        await writeFile(join(node.root, debSource), refused)
        await expect(node.chroot(['apt-get', 'update'])).rejects.toThrow(/NO_PUBKEY|not signed/)
      })

      it(
        'apt-get installs the whole kubespray list, NFS, and what builds GPU drivers',
        async () => {
          await site.putClientFiles(node.root, [debSource, siteKey])
          await node.chroot(['apt-get', 'update'])
          const names = (
            await Promise.all(
              ['kubespray', 'nfs', 'gpu-build'].map(topic =>
                packageNames(join(home, 'package-lists', 'debian', '12', `${topic}.txt`)),
              ),
            )
          ).flat()
          const said = await node.chroot([
            ...['apt-get', 'install', '-y', '--no-install-recommends'],
            ...names,
          ])
          const newly = Number(/(\d+) newly installed/.exec(said)?.[1])
          expect(newly).toBeGreaterThan(150)
          expect(/^Err:|^W:|^E:|NOT authenticated|cannot be authenticated/m.exec(said)).toBeNull()
          const asked = await node.chroot(['apt-get', 'indextargets', '--format', '$(SITE)'])
          expect(
            asked
              .trim()
              .split('\n')
              .filter(place => !place.startsWith(`${site.http}/debs/`)),
          ).toEqual([])
          const installed = await node.chroot([
            ...['dpkg-query', '-W', '-f', '${db:Status-Abbrev} ${Package}\n'],
            ...names,
          ])
          expect(
            installed
              .trim()
              .split('\n')
              .filter(line => !line.startsWith('ii ')),
          ).toEqual([])
          expect(await node.chroot(['apt-get', 'check'])).toMatch(/Building dependency tree/)
          // what came along builds a module of the kernel whose headers came along
          const source = join(node.root, 'usr', 'src', 'hello-1.0')
          await mkdir(source)
          for (const [name, text] of Object.entries(helloModule)) await writeFile(join(source, name), text)
          const [kernel] = await readdir(join(node.root, 'lib', 'modules'))
          const built = await node.chroot(['dkms', 'build', 'hello/1.0', '-k', kernel!])
          expect(built).toMatch(/Building module:/)
          const status = await node.chroot(['dkms', 'status'])
          expect(status).toMatch(/^hello\/1\.0, .*: built/m)
        },
        patience,
      )
    })

    it('nothing tried to leave', async () => {
      expect(await network.escapeAttempts()).toBe(0)
    })
  },
)

const debSource = 'etc/apt/sources.list.d/airgap-debian-12.sources'
const siteKey = 'etc/apt/keyrings/airgap-site.asc'

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
