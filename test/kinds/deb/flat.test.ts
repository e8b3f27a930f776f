import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { debKind } from '../../../src/kinds/deb/index.ts'
import { aptSandbox } from './support/apt.ts'
import { Gpg } from './support/archive.ts'
import { missing, must, tempFolder } from './support/programs.ts'
import { errorOf, lockDebs } from './support/resolve.ts'
import { type FileServer, serveFolder } from './support/server.ts'
import { stanzaOf, type WorldPackage } from './support/world.ts'

const lacking = missing('apt-get', 'apt-ftparchive', 'gpg')
const packages: WorldPackage[] = [
  { name: 'driver', depends: 'driver-lib', filename: './driver_1_amd64.deb' },
  { name: 'driver-lib', architecture: 'all', filename: './driver-lib_1_all.deb' },
  { name: 'driver', architecture: 'arm64', filename: './driver_1_arm64.deb' },
]

/** As vendors' repositories are: one folder with packages, Packages and Release. */
describe.skipIf(lacking.length > 0)(
  `flat repositories (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let folder: string
    let key: string
    let server: FileServer

    beforeAll(async () => {
      folder = resources.use(await tempFolder()).path
      const gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
      await gpg.makeKey('vendor')
      key = await gpg.exportTo(join(folder, 'vendor.asc'), 'vendor')
      const root = join(folder, 'archive/repos/x86_64')
      await mkdir(root, { recursive: true })
      await writeFile(join(root, 'Packages'), packages.map(one => stanzaOf(one)).join('\n'))
      const release = await must(
        'apt-ftparchive',
        ['-o', 'APT::FTPArchive::Release::Origin=Vendor', 'release', '.'],
        {
          cwd: root,
        },
      )
      await writeFile(join(root, 'Release'), release)
      await gpg.run('--output', join(root, 'InRelease'), '--clearsign', join(root, 'Release'))
      server = resources.use(await serveFolder(join(folder, 'archive')))
    })
    afterAll(() => resources.disposeAsync())

    it.each([
      ['repos/x86_64', './'],
      ['repos/x86_64', '/'],
      ['repos', 'x86_64/'],
    ])('%s with the suite %s', async (path, suite) => {
      const archive = `${server.url}/${path}`
      const locked = await lockDebs(
        { archive, suite, components: [], keys: [key], packages: ['driver'] },
        { folder },
      )
      expect(debKind.schema.parse(locked)).toEqual(locked)
      expect(locked.sources[0]).toMatchObject({ suite, components: [], release: { Origin: 'Vendor' } })
      expect(locked.packages.map(one => [one.name, one.filename, one.component])).toEqual([
        ['driver', 'driver_1_amd64.deb', undefined],
        ['driver-lib', 'driver-lib_1_all.deb', undefined],
      ])
      const [artifact] = debKind.assemble([locked])
      const manifest = Buffer.from(artifact!.inline[0]!.bytes).toString()
      for (const file of ['Packages', 'Release.upstream', 'driver_1_amd64.deb'])
        expect(manifest).toContain(`/repos/x86_64/${file}"`)
      // apt does not resolve the dot before it requests the file
      expect(artifact!.inline.map(blob => Buffer.from(blob.bytes).toString())).toContain(
        packages
          .slice(0, 2)
          .map(one => stanzaOf(one).replace('Filename: ./', 'Filename: '))
          .join('\n'),
      )
    })

    it('apt finds the same, at the same place', async () => {
      const sources = `Types: deb\nURIs: ${server.url}/repos/x86_64/\nSuites: ./\nSigned-By: ${key}\n`
      const apt = await aptSandbox(join(folder, 'apt'), { sources })
      expect((await apt.apt('update')).status).toBe(0)
      expect(await apt.wouldInstall(['driver'])).toEqual(['driver-lib_1_all', 'driver_1_amd64'])
    })

    it('says where a flat repository was looked for', async () => {
      const archive = `${server.url}/repos`
      const error = await errorOf(
        lockDebs({ archive, suite: './', components: [], keys: [key], packages: ['driver'] }, { folder }),
      )
      expect([error.code, error.item]).toEqual(['NOT_FOUND_UPSTREAM', `${archive}/Release`])
    })
  },
)
