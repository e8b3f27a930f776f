import { open, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rpmKind } from '../../../src/kinds/rpm/index.ts'
import type { LockedRpms } from '../../../src/kinds/rpm/locked.ts'
import { lackingForRpm, makeRpms } from '../../site/support/rpm.ts'
import { publishYum, rpmOf } from '../../site/support/yum-publisher.ts'
import { Gpg } from '../deb/support/archive.ts'
import { tempFolder } from '../deb/support/programs.ts'
import { withContext } from '../deb/support/resolve.ts'
import { type FileServer, serveFolder } from '../deb/support/server.ts'

describe.skipIf(lackingForRpm.length > 0)(
  `lists of rpms in the cache (needs ${lackingForRpm.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let folder: string
    let server: FileServer
    let keys: string[]
    let fresh: LockedRpms

    beforeAll(async () => {
      folder = resources.use(await tempFolder()).path
      const gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
      for (const name of ['publisher', 'stranger']) {
        await gpg.makeKey(name, { algorithm: 'rsa3072' })
        await gpg.exportTo(join(folder, `${name}.asc`), name)
      }
      keys = [join(folder, 'publisher.asc')]
      const packages = [{ name: 'app', requires: ['/opt/lib/file'] }, { name: 'lib' }]
      const built: Record<string, { from: string }> = {}
      for (const one of packages) {
        await makeRpms(join(folder, one.name), { gpgHome: gpg.home, user: 'publisher', packages: [one] })
        built[`Packages/${one.name}.rpm`] = { from: await rpmOf(join(folder, one.name), one.name) }
      }
      await publishYum(join(folder, 'r'), { packages: built }, { gpg, user: 'publisher@example.org' })
      server = resources.use(await serveFolder(join(folder, 'r')))
      fresh = await lock()
    }, 60_000)
    afterAll(() => resources.disposeAsync())

    function lock(own: string[] = keys): Promise<LockedRpms> {
      server.requests.length = 0
      return withContext({ folder }, context =>
        rpmKind.resolve(
          {
            at: 'stack.yaml:5:5',
            name: 'el9',
            platform: 'platform:el9',
            repositories: [
              {
                id: 'r',
                baseurl: server.url,
                keys: own,
                keysAsWritten: own,
                metadata: 'signed',
                packages: 'signed',
                priority: 99,
                excludepkgs: [],
                moduleHotfixes: false,
              },
            ],
            architectures: ['x86_64'],
            modules: [],
            packages: ['app'],
            kernelPackages: [],
            weak: false,
            base: { type: 'none' },
          },
          context,
        ),
      )
    }

    async function files(kind: string): Promise<string[]> {
      const place = join(folder, 'cache', 'derived', kind)
      return (await readdir(place)).map(name => join(place, name))
    }

    const kinds = ['rpm-packages', 'rpm-filelists', 'rpm-owners', 'rpm-signers']

    it('are fetched, read and checked once: the second lock asks for repomd.xml only', async () => {
      expect(fresh.packages.map(one => one.name)).toEqual(['app', 'lib'])
      for (const kind of kinds) expect(await files(kind)).toHaveLength(1)
      expect(await lock()).toEqual(fresh)
      expect([...server.requests].sort()).toEqual(['/repodata/repomd.xml', '/repodata/repomd.xml.asc'])
    })

    it.each(kinds)('are read again where what was made of them is damaged: %s', async kind => {
      const [path] = await files(kind)
      const file = await open(path!, 'r+')
      const { size } = await file.stat()
      await file.write('x', size - 40)
      await file.close()
      expect(await lock()).toEqual(fresh)
      await writeFile(path!, '')
      expect(await lock()).toEqual(fresh)
    })

    it('are checked for other keys again', async () => {
      const error = lock([join(folder, 'stranger.asc')])
      await expect(error).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' })
      const both = await lock([...keys, join(folder, 'stranger.asc')])
      expect(both.packages).toEqual(fresh.packages)
      expect(server.requests.filter(path => path.endsWith('.rpm'))).toHaveLength(2)
    })

    it('are refused where a byte changed since they were verified', async () => {
      const blobs = join(folder, 'cache', 'blobs', 'sha256')
      for (const name of await readdir(blobs)) {
        const file = await open(join(blobs, name), 'r+')
        const text = await file.readFile('utf8')
        if (text.includes('<rpm:license>')) await file.write('x', text.indexOf('<rpm:license>') + 13)
        await file.close()
      }
      await expect(lock()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    })
  },
)
