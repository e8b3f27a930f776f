import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemoryStore } from '../../../src/content/memory-store.ts'
import { readTree, type TreeEntries } from '../../../src/content/tree.ts'
import { digestOf } from '../../../src/core/digest.ts'
import { type AptRepository, aptRepository, aptSources } from '../../../src/kinds/deb/apt-repository.ts'
import { debKind } from '../../../src/kinds/deb/index.ts'
import { openSiteKey, type SiteKey } from '../../../src/site/site-key.ts'
import { aptSandbox } from './support/apt.ts'
import { Gpg, makeArchive, signArchive } from './support/archive.ts'
import { missing, run, tempFolder } from './support/programs.ts'
import { errorOf, lockDebs } from './support/resolve.ts'
import { type FileServer, serveFolder } from './support/server.ts'

const lacking = missing('apt-get', 'apt-ftparchive', 'dpkg-deb', 'gpg', 'gpgv')

describe.skipIf(lacking.length > 0)(
  `the site's repository and stock apt (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let folder: string
    let entries: TreeEntries
    /** of the archive in the tree */
    let root: string
    let repository: AptRepository
    let key: SiteKey
    let server: FileServer
    let sources: string

    /** From an upstream archive to a folder laid out as the site serves it. */
    beforeAll(async () => {
      const temp = resources.use(await tempFolder())
      folder = temp.path
      const gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
      await gpg.makeKey('upstream')
      const keys = [await gpg.exportTo(join(folder, 'upstream.asc'), 'upstream')]
      await makeArchive(join(folder, 'upstream'), {
        suite: 'bookworm',
        packages: [
          {
            name: 'app',
            version: '1:2.0+b~1-3',
            architecture: 'amd64',
            fields: { Depends: 'lib (>= 1.0~)' },
          },
          { name: 'lib', version: '1.0' },
          { name: 'other' },
        ],
      })
      await signArchive(join(folder, 'upstream'), { gpg, suite: 'bookworm', users: ['upstream'] })
      const upstream = resources.use(await serveFolder(join(folder, 'upstream')))
      root = `${new URL(upstream.url).host.replace(':', '_')}/`
      const locked = await lockDebs(
        { archive: upstream.url, suite: 'bookworm', keys, packages: ['app'] },
        { folder },
      )
      entries = await readTreeOf(locked)
      await layDown(locked)
      key = await openSiteKey({ folder: join(folder, 'state'), now: () => new Date() })
      repository = await aptRepository(entries, { key, now: new Date(), textOf })
      for (const [path, bytes] of repository.files) await write(join(folder, 'site/debs/test', path), bytes)
      server = resources.use(await serveFolder(join(folder, 'site')))
      await writeFile(join(folder, 'site.asc'), key.publicKeyArmored)
      await writeFile(join(folder, 'site.gpg'), key.publicKeyBinary)
      sources = aptSources({
        name: 'test',
        baseUrl: server.url,
        suites: repository.suites,
        signedBy: join(folder, 'site.asc'),
      })
    })
    afterAll(() => resources.disposeAsync())

    async function readTreeOf(locked: Awaited<ReturnType<typeof lockDebs>>): Promise<TreeEntries> {
      const store = new MemoryStore()
      const artifacts = debKind.assemble([locked])
      for (const artifact of artifacts)
        for (const { descriptor, bytes } of artifact.inline)
          await store.push(descriptor, Readable.from([bytes]))
      return readTree(
        store,
        artifacts.map(artifact => artifact.root),
      )
    }

    /** What the bundle would hold, as files: packages from upstream, indexes from the lock. */
    const textOf = async (path: string) => await readFile(join(folder, 'site/debs/test', path), 'utf8')

    async function layDown(locked: Awaited<ReturnType<typeof lockDebs>>): Promise<void> {
      const inline = new Map(
        debKind
          .assemble([locked])
          .flatMap(artifact => artifact.inline.map(blob => [blob.descriptor.digest, blob.bytes])),
      )
      for (const [path, { descriptor }] of entries) {
        const bytes =
          inline.get(descriptor.digest) ?? (await readFile(join(folder, 'upstream', path.slice(root.length))))
        expect(digestOf(bytes)).toBe(descriptor.digest)
        await write(join(folder, 'site/debs/test', path), bytes)
      }
    }

    async function write(path: string, bytes: Uint8Array): Promise<void> {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, bytes)
    }

    async function sandbox(name: string, text = sources) {
      return aptSandbox(join(folder, name), { sources: text })
    }

    it('is updated from, resolved and downloaded by an unmodified apt', async () => {
      const apt = await sandbox('good')
      const update = await apt.apt('update')
      expect(update.status, update.stdout + update.stderr).toBe(0)
      expect(update.stderr).not.toMatch(/W:|E:/)
      expect(await apt.wouldInstall(['app'])).toEqual(['app_1:2.0+b~1-3_amd64', 'lib_1.0_all'])
      const download = await apt.apt('download', 'app', 'lib')
      expect(download.status, download.stderr).toBe(0)
      const deb = await readFile(join(folder, 'good/app_1%3a2.0+b~1-3_amd64.deb'))
      expect(digestOf(deb)).toBe(entries.get(`${root}pool/app_2.0+b~1-3_amd64.deb`)?.descriptor.digest)
    })

    it('carries what was asked for and nothing else', async () => {
      const apt = await sandbox('closure')
      await apt.apt('update')
      expect((await apt.apt('install', '-y', '--print-uris', 'other')).stderr).toContain(
        'Unable to locate package other',
      )
    })

    it('is good with the binary key and by Release.gpg alone', async () => {
      server.overrides.set(`/debs/test/${root}dists/bookworm/InRelease`, 'missing')
      try {
        const apt = await sandbox('detached', sources.replace('site.asc', 'site.gpg'))
        const update = await apt.apt('update')
        expect(update.status, update.stdout + update.stderr).toBe(0)
        expect(server.requests).toContain(`/debs/test/${root}dists/bookworm/Release.gpg`)
        expect(await apt.wouldInstall(['lib'])).toEqual(['lib_1.0_all'])
      } finally {
        server.overrides.clear()
      }
    })

    it('fault 80: is taken by a node whose clock is a year behind the site, the signature still checked', async () => {
      const now = () => new Date(Date.now() + 365 * 86_400_000)
      const key = await openSiteKey({ folder: join(folder, 'ahead-state'), now })
      await writeFile(join(folder, 'ahead.asc'), key.publicKeyArmored)
      const ahead = await aptRepository(entries, { key, now: now(), textOf })
      const release = ahead.files.get(`${root}dists/bookworm/InRelease`)!.toString()
      server.overrides.set(`/debs/test/${root}dists/bookworm/InRelease`, release)
      try {
        const apt = await sandbox('clock', sources.replace('site.asc', 'ahead.asc'))
        const update = await apt.apt('update')
        expect(update.status, update.stdout + update.stderr).toBe(0)
        expect(await apt.wouldInstall(['lib'])).toEqual(['lib_1.0_all'])
        const wrong = await (await sandbox('clock-wrong-key')).apt('update')
        expect(wrong.stdout + wrong.stderr).toMatch(/NO_PUBKEY|not signed/)
      } finally {
        server.overrides.clear()
      }
    })

    it('is refused by apt with another key', async () => {
      const other = await openSiteKey({ folder: join(folder, 'other-state'), now: () => new Date() })
      await writeFile(join(folder, 'other.asc'), other.publicKeyArmored)
      const apt = await sandbox('wrong-key', sources.replace('site.asc', 'other.asc'))
      const update = await apt.apt('update')
      expect(update.stdout + update.stderr).toMatch(/NO_PUBKEY|not signed/)
      expect((await apt.apt('install', '-y', '--print-uris', 'lib')).stderr).toContain(
        'Unable to locate package lib',
      )
    })

    it('is refused by apt when Packages was tampered with', async () => {
      const path = `/debs/test/${root}dists/bookworm/main/binary-amd64/Packages`
      const text = await readFile(join(folder, 'site', path), 'utf8')
      // the size stays what Release says: only the digest can tell
      server.overrides.set(path, text.replace('Package: lib', 'Package: bil'))
      try {
        const apt = await sandbox('tampered')
        const update = await apt.apt('update')
        expect(update.status).not.toBe(0)
        expect(update.stdout + update.stderr).toMatch(/Hash Sum mismatch|unexpected size/)
      } finally {
        server.overrides.clear()
      }
    })

    it('is refused by apt when Release was tampered with', async () => {
      const text = repository.files.get(`${root}dists/bookworm/InRelease`)!.toString()
      server.overrides.set(
        `/debs/test/${root}dists/bookworm/InRelease`,
        text.replace('Label: airgap', 'Label: airgab'),
      )
      try {
        const apt = await sandbox('tampered-release')
        const update = await apt.apt('update')
        expect(update.stdout + update.stderr).toMatch(/BADSIG|invalid/)
      } finally {
        server.overrides.clear()
      }
    })

    it('has signatures that gpgv verifies', async () => {
      for (const args of [['InRelease'], ['Release.gpg', 'Release']]) {
        const paths = args.map(name => join(folder, 'site/debs/test', root, 'dists/bookworm', name))
        const output = await run('gpgv', ['--keyring', join(folder, 'site.gpg'), ...paths])
        expect(output.stderr).toContain('Good signature from "airgap site repository key"')
        expect(output.status).toBe(0)
      }
    })

    it('never trusts blindly and never expires', () => {
      expect(sources).toMatch(/^Signed-By: \//m)
      expect(sources.toLowerCase()).not.toContain('trusted')
      const release = repository.files.get(`${root}dists/bookworm/Release`)!.toString()
      expect(release).not.toMatch(/Valid-Until/i)
      expect(release).toContain(
        'Origin: airgap site\nLabel: airgap site\nSuite: bookworm\nCodename: bookworm\n',
      )
    })

    it('depends on nothing but the tree, the key and the clock', async () => {
      const now = () => new Date('2026-01-02T03:04:05Z')
      const first = await aptRepository(entries, { key, now: now(), textOf })
      const second = await aptRepository(new Map([...entries].reverse()), { key, now: now(), textOf })
      expect(first.files.get(`${root}dists/bookworm/Release`)).toEqual(
        second.files.get(`${root}dists/bookworm/Release`),
      )
      expect(first.files.get(`${root}dists/bookworm/Release`)!.toString()).toContain(
        'Date: Fri, 02 Jan 2026 03:04:05 UTC\n',
      )
    })
  },
)

describe('apt metadata of a damaged tree', () => {
  const repositoryOf = async (...paths: string[]) => {
    await using temp = await tempFolder()
    const key = await openSiteKey({ folder: temp.path, now: () => new Date() })
    const descriptor = { mediaType: 'application/octet-stream', digest: digestOf(''), size: 0 }
    const entries: TreeEntries = new Map(paths.map(path => [path, { descriptor, mode: '100644' }]))
    return await aptRepository(entries, { key, now: new Date(), textOf: () => Promise.resolve('') })
  }

  it.each(['dists/a b/main/binary-amd64/Packages', 'x/dists/a/b c/binary-amd64/Packages'])(
    'refuses a blank in a name: %s',
    async path => {
      const error = await errorOf(repositoryOf(path))
      expect(error.code).toBe('BUNDLE_CORRUPT')
      expect(error.item).toContain(path)
    },
  )

  it('signs no index but those that the builder wrote', async () => {
    const { suites, files } = await repositoryOf(
      'x/dists/a/Release.upstream',
      'x/dists/a/main/binary-amd64/Packages',
      'x/dists/a/Release',
      'x/dists/a/InRelease',
      'x/dists/a/main/source/Sources',
      'x/dists/a/pool/Packages',
      'x/y/Release.upstream',
      'x/y/Packages',
      'x/y/pool/Packages',
    )
    expect(suites).toEqual([
      { root: 'x/', suite: 'a', components: ['main'], architectures: ['amd64'] },
      { root: 'x/y/', suite: '/', components: [], architectures: [] },
    ])
    expect(files.get('x/dists/a/Release')!.toString().match(/^ .*/gm)).toEqual([
      ` ${'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'} 0 main/binary-amd64/Packages`,
    ])
    expect(files.get('x/dists/a/InRelease')!.length).toBeGreaterThan(0)
  })

  it('lets no value break out of its line in the client file', () => {
    const suites = [{ root: '', suite: 'a', components: ['main'], architectures: ['amd64'] }]
    expect(() =>
      aptSources({ name: 'x', baseUrl: 'http://a\nTrusted: yes', suites, signedBy: '/k.asc' }),
    ).toThrow(/an apt source cannot contain/)
  })
})
