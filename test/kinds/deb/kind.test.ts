import { cp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canonicalJson } from '../../../src/core/canonical-json.ts'
import { digestOf } from '../../../src/core/digest.ts'
import { debKind } from '../../../src/kinds/deb/index.ts'
import type { LockedDebs } from '../../../src/kinds/deb/locked.ts'
import { addByHash, Gpg, makeArchive, readText, signArchive } from './support/archive.ts'
import { missing, tempFolder } from './support/programs.ts'
import { errorOf, type fullRequest, lockDebs } from './support/resolve.ts'
import { type FileServer, serveFolder } from './support/server.ts'

const lacking = missing('apt-ftparchive', 'dpkg-deb', 'gpg')

describe.skipIf(lacking.length > 0)(`deb kind (needs ${lacking.join(', ') || 'nothing more'})`, () => {
  const resources = new AsyncDisposableStack()
  let folder: string
  let keys: string[]
  let server: FileServer
  let locked: LockedDebs

  beforeAll(async () => {
    folder = resources.use(await tempFolder()).path
    const gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
    await gpg.makeKey('archive')
    keys = [await gpg.exportTo(join(folder, 'archive.asc'), 'archive')]
    await makeArchive(join(folder, 'archive'), {
      suite: 'stable',
      packages: [
        { name: 'app', version: '1:2.0+b~1-3', architecture: 'amd64', fields: { Depends: 'lib (>= 1.5)' } },
        { name: 'lib', version: '1.0' },
        { name: 'lib', version: '2.0' },
        { name: 'other', architecture: 'amd64' },
      ],
      // `other` for arm64 as well, by hand: one index may list several architectures
      packagesText: text =>
        `${text}\n${text.slice(text.indexOf('Package: other')).replaceAll('amd64', 'arm64')}`,
    })
    await addByHash(join(folder, 'archive'), 'stable')
    await signArchive(join(folder, 'archive'), { gpg, suite: 'stable', users: ['archive'] })
    server = resources.use(await serveFolder(join(folder, 'archive')))
    locked = await lock(['app'])
  })
  afterAll(() => resources.disposeAsync())

  const lock = (packages: string[], more: Partial<Parameters<typeof fullRequest>[0]> = {}) =>
    lockDebs({ archive: `${server.url}/`, keys, packages, ...more }, { folder })

  it('locks the closure with all that is needed to fetch it', async () => {
    expect(locked).toMatchObject({
      name: 'test',
      sources: [{ archive: server.url, suite: 'stable', release: { Suite: 'stable', Codename: 'stable' } }],
    })
    expect(
      locked.packages.map(({ name, version, requested, because }) => [name, version, requested, because]),
    ).toEqual([
      ['app', '1:2.0+b~1-3', true, undefined],
      ['lib', '2.0', undefined, 'app'],
    ])
    const [app] = locked.packages
    expect(app).toMatchObject({ architecture: 'amd64', component: 'main' })
    const upstream = await readText(folder, 'archive/dists/stable/main/binary-amd64/Packages')
    expect(upstream).toContain(`${app!.stanza.join('\n')}\n\n`)
    expect(app!.filename).toBe('pool/app_2.0+b~1-3_amd64.deb')
  })

  it('is what its own schema says, before and after the lockfile', () => {
    expect(debKind.schema.parse(JSON.parse(canonicalJson(locked, 2)))).toEqual(locked)
    expect(() => debKind.schema.parse({ ...locked, extra: 1 })).toThrow()
    expect(() =>
      debKind.schema.parse({ ...locked, packages: [{ ...locked.packages[0], sha256: 'x' }] }),
    ).toThrow()
  })

  it('gives the same lock again, from the cache, and asks for no index again', async () => {
    server.requests.length = 0
    expect(await lock(['app'])).toEqual(locked)
    expect(server.requests).toEqual(['/dists/stable/InRelease'])
  })

  describe('the table of an index in the cache', () => {
    const tableFile = async () => {
      const tables = join(folder, 'cache', 'derived', 'deb-packages')
      const [name, ...others] = await readdir(tables)
      expect(others).toEqual([])
      return join(tables, name!)
    }
    /** with the time back, as damage to a disk has it */
    const damage = async (path: string, change: (bytes: Buffer) => Buffer) => {
      const { atime, mtime } = await stat(path)
      await writeFile(path, change(await readFile(path)))
      await utimes(path, atime, mtime)
    }

    it.each([
      ['a bit is flipped', (bytes: Buffer) => bytes.fill(bytes[40]! ^ 1, 40, 41)],
      [
        'the text of a field is another',
        (bytes: Buffer) => bytes.fill('x', bytes.indexOf('lib (>= 1.5)'), 3),
      ],
      ['half of it is missing', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
      ['it is empty', () => Buffer.alloc(0)],
    ])('is made again when %s', async (_, change) => {
      const path = await tableFile()
      const good = await readFile(path)
      await damage(path, change)
      expect(await lock(['app'])).toEqual(locked)
      expect((await readFile(path)).equals(good)).toBe(true)
    })

    it('does not make up for an index that is damaged: the stanzas of the lock are those that were signed', async () => {
      const text = await readText(folder, 'archive/dists/stable/main/binary-amd64/Packages')
      const path = join(folder, 'cache', 'blobs', 'sha256', digestOf(text).slice('sha256:'.length))
      const good = await readFile(path)
      try {
        await damage(path, bytes => Buffer.from(bytes.toString().replace('Depends: lib', 'Depends: lab')))
        expect(await errorOf(lock(['app']))).toMatchObject({ code: 'DIGEST_MISMATCH' })
      } finally {
        await writeFile(path, good)
      }
    })
  })

  it('assembles one tree, as a pure function of the lock', async () => {
    const [artifact, ...others] = debKind.assemble([locked])
    expect(others).toEqual([])
    expect(artifact!.root.annotations).toMatchObject({
      'org.opencontainers.image.ref.name': 'debs/test',
      'io.astrago.airgap.kind': 'deb',
    })
    const again = debKind.assemble([JSON.parse(canonicalJson(locked))])
    expect(again[0]!.root).toEqual(artifact!.root)
    expect(artifact!.blobs.map(blob => blob.sources)).toEqual(
      expect.arrayContaining([
        [{ type: 'url', url: `${server.url}/pool/app_2.0%2Bb~1-3_amd64.deb` }],
        [{ type: 'url', url: `${server.url}/pool/lib_2.0_all.deb` }],
      ]),
    )
    for (const { descriptor, sources } of artifact!.blobs) {
      const source = sources[0]!
      const response = await fetch(source.type === 'url' ? source.url : '')
      expect(digestOf(new Uint8Array(await response.arrayBuffer()))).toBe(descriptor.digest)
    }
    const packages = artifact!.inline
      .map(blob => Buffer.from(blob.bytes).toString())
      .find(text => text.startsWith('Package:'))
    expect(packages).toBe(`${locked.packages.map(deb => `${deb.stanza.join('\n')}\n`).join('\n')}`)
  })

  it('lists packages for all architectures in each, others in their own', () => {
    const both: LockedDebs = {
      ...locked,
      architectures: ['amd64', 'arm64'],
      sources: [{ ...locked.sources[0]!, components: ['main', 'empty'] }],
    }
    const [artifact] = debKind.assemble([both])
    const manifest = JSON.parse(Buffer.from(artifact!.inline[0]!.bytes).toString())
    const titles = manifest.layers.map(
      (layer: { annotations: Record<string, string> }) => layer.annotations['org.opencontainers.image.title'],
    )
    expect(
      titles
        .filter((title: string) => title.includes('/dists/'))
        .map((title: string) => title.replace(/^[^/]+\//, '')),
    ).toEqual([
      'dists/stable/Release.upstream',
      'dists/stable/empty/binary-amd64/Packages',
      'dists/stable/empty/binary-arm64/Packages',
      'dists/stable/main/binary-amd64/Packages',
      'dists/stable/main/binary-arm64/Packages',
    ])
    const texts = artifact!.inline.map(blob => Buffer.from(blob.bytes).toString())
    expect(texts).toContain(`${locked.packages[1]!.stanza.join('\n')}\n`)
    expect(texts).toContain('')
  })

  it('knows where a version stays that the distribution has dropped', () => {
    const kept = (release: Record<string, string>) =>
      debKind
        .assemble([{ ...locked, sources: locked.sources.map(source => ({ ...source, release })) }])
        .flatMap(({ blobs }) => blobs.flatMap(({ sources }) => sources))
        .map(source => source.type === 'url' && source.archivedAt)
    expect(kept({ Origin: 'Debian' })).toContain('https://snapshot.debian.org/binary/app/')
    expect(kept({ Origin: 'Ubuntu', Codename: 'jammy' })).toContain(
      'https://launchpad.net/ubuntu/jammy/+package/app (1:2.0+b~1-3)',
    )
    expect(kept({ Origin: 'Acme' })).toEqual([undefined, undefined])
  })

  it('describes each package', () => {
    expect(debKind.describe(locked)[0]).toMatchObject({
      name: 'test/app_1:2.0+b~1-3_amd64',
      version: '1:2.0+b~1-3',
      size: locked.packages[0]!.size,
      source: server.url,
      subject: 'app:amd64',
      vouchedBy: `OpenPGP key ${locked.sources[0]!.signedBy}`,
    })
    expect(locked.sources[0]!.signedBy).toMatch(/^[0-9A-F]{40}$/)
  })

  it('takes a version that is requested', async () => {
    const { packages } = await lock(['lib=1.0'])
    expect(packages.map(deb => `${deb.name} ${deb.version}`)).toEqual(['lib 1.0'])
    const error = await errorOf(lock(['lib=3.0']))
    expect([error.code, error.item]).toEqual(['UNRESOLVABLE', 'stack.yaml:7:5'])
    expect(error.message).toBe('lib=3.0: no suite has this version; available: 2.0, 1.0')
    expect((await errorOf(lock(['app', 'lib=1.0']))).message).toContain(
      'lib (>= 1.5): only 2.0, 1.0 is available',
    )
  })

  it.each([
    ['a b', /invalid package name/],
    ['$(touch x)', /invalid package name/],
    ['-oDir=x', /invalid package name/],
    ['lib=', /invalid version/],
    ['lib=/1/', /invalid version/],
    ['lib/a=stable', /invalid suite/],
    ['lib=1 2', /invalid version/],
  ])('refuses the request %j', async (text, why) => {
    const error = await errorOf(lock([text]))
    expect(error.message).toMatch(why)
    expect([error.code, error.item]).toEqual(['MANIFEST_INVALID', 'stack.yaml:7:5'])
  })

  it('says which components and architectures there are', async () => {
    for (const more of [{ components: ['contrib'] }, { architectures: ['s390x'] }]) {
      const error = await errorOf(lock(['app'], more))
      expect([error.code, error.item]).toEqual(['UNRESOLVABLE', 'stack.yaml:7:5'])
      expect(error.likely).toBe('available components: main for amd64')
    }
  })

  it('refuses names that leave their folder', async () => {
    expect((await errorOf(lock(['app'], { suite: '../x/' }))).code).toBe('MANIFEST_INVALID')
    expect((await errorOf(lock(['app'], { suite: '../x' }))).code).toBe('MANIFEST_INVALID')
    expect((await errorOf(lock(['app'], { components: ['../x'] }))).code).toBe('MANIFEST_INVALID')
  })

  it.each([{ suite: 'jammy jammy-updates' }, { components: ['main universe'] }, { suite: 'stable?x=1' }])(
    'refuses what apt cannot take as one name: %j',
    async more => {
      const error = await errorOf(lock(['app'], more))
      expect([error.code, error.item]).toEqual(['MANIFEST_INVALID', 'stack.yaml:7:5'])
      expect(error.next).toContain('suites: [jammy, jammy-updates]')
    },
  )

  it('takes one suite from two sources, each with its own components', () => {
    const [source] = locked.sources
    const both = { ...locked, sources: [...locked.sources, { ...source!, components: ['contrib'] }] }
    const [artifact] = debKind.assemble([both])
    const manifest = Buffer.from(artifact!.inline[0]!.bytes).toString()
    for (const component of ['main', 'contrib'])
      expect(manifest).toContain(`/dists/stable/${component}/binary-amd64/Packages"`)
  })

  it('refuses two contents under one path', () => {
    const [first] = locked.packages
    const [source] = locked.sources
    const sources = [...locked.sources, { ...source!, suite: 'other' }]
    const changed = { ...first!, source: locked.sources.length, sha256: 'a'.repeat(64) }
    const other = { ...source!, archive: source!.archive.replace('http:', 'https:') }
    for (const both of [
      { ...locked, sources, packages: [...locked.packages, changed] },
      { ...locked, sources: [...locked.sources, other] },
    ])
      expect(() => debKind.assemble([both])).toThrow(
        expect.objectContaining({
          code: 'NAME_COLLISION',
          message: 'two files of a package repository have the same path',
        }),
      )
  })

  it('says that a suite is not there', async () => {
    const error = await errorOf(lock(['app'], { suite: 'gone' }))
    expect(error.code).toBe('NOT_FOUND_UPSTREAM')
    expect(error.item).toContain('/dists/gone/')
  })

  it('locks nothing for an entry without packages', async () => {
    expect((await lock([])).packages).toEqual([])
  })

  it('fetches the index again where the cache was lost', async () => {
    const other = join(folder, 'lost')
    await cp(join(folder, 'cache'), join(other, 'cache'), { recursive: true })
    for (const name of await readdir(join(other, 'cache/blobs/sha256')))
      await rm(join(other, 'cache/blobs/sha256', name))
    const again = await lockDebs({ archive: server.url, keys, packages: ['app'] }, { folder: other })
    expect(again).toEqual(locked)
  })
})
