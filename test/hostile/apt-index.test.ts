import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf, hexOf } from '../../src/core/digest.ts'
import { packageUrl } from '../../src/kinds/deb/assemble.ts'
import { addByHash, signArchive, writeRelease } from '../kinds/deb/support/archive.ts'
import { missing } from '../kinds/deb/support/programs.ts'
import { errorOf, lockDebs } from '../kinds/deb/support/resolve.ts'
import { type FileServer, serveFolder } from '../kinds/deb/support/server.ts'
import { editPackages, variantIndex as index, variants } from '../kinds/deb/support/variants.ts'

const lacking = missing('apt-ftparchive', 'dpkg-deb', 'gpg')
const MiB = 1024 * 1024

/** What a correctly signed Release file says, and what is served under the names of the files that it lists. */
describe.skipIf(lacking.length > 0)(
  `hostile apt indexes (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    let archive: Awaited<ReturnType<typeof variants>>
    let folder: string
    let lockFrom: typeof archive.lockFrom
    let expectRefused: typeof archive.expectRefused

    beforeAll(async () => {
      archive = await variants()
      folder = archive.folder
      ;({ lockFrom, expectRefused } = archive)
    })
    afterAll(() => archive.resources.disposeAsync())

    it('the unchanged archive is good', async () => {
      expect((await lockFrom({})).names).toEqual(['app'])
    })

    it('fault 31: Valid-Until has passed', async () => {
      const edit = (text: string) => `Valid-Until: Fri, 02 Jan 2026 00:00:00 UTC\n${text}`
      const error = await expectRefused({ edit }, { code: 'UPSTREAM_INVALID', why: /expired on 2026-01-02/ })
      expect(error.likely).toContain('clock')
      const later = (text: string) => `Valid-Until: ${new Date(Date.now() + 60_000).toUTCString()}\n${text}`
      expect((await lockFrom({ edit: later })).names).toEqual(['app'])
    })

    it('fault 31: Date in the future; a clock that is off by a minute is fine', async () => {
      const at = (ms: number) => (text: string) =>
        text.replace(/^Date: .*$/m, `Date: ${new Date(Date.now() + ms).toUTCString()}`)
      const error = await expectRefused(
        { edit: at(3_600_000) },
        { code: 'UPSTREAM_INVALID', why: /in the future/ },
      )
      expect(error.likely).toContain('the clock of this host')
      expect((await lockFrom({ edit: at(60_000) })).names).toEqual(['app'])
    })

    it.each(['never', 'Fri, 02 Jan 2099 00:00:00 +0200'])(
      'a Valid-Until that is not a date in UTC is refused: %s',
      async until => {
        const edit = (text: string) => `Valid-Until: ${until}\n${text}`
        await expectRefused({ edit }, { code: 'UPSTREAM_INVALID', why: /malformed/ })
      },
    )

    it('fault 32: an older Release than seen before', async () => {
      const dated = (hour: number | undefined) => (text: string) =>
        text.replace(/^Date: .*\n/m, hour === undefined ? '' : `Date: Fri, 02 Jan 2026 0${hour}:00:00 UTC\n`)
      const cache = join(folder, 'rollback')
      await mkdir(cache)
      const copy = join(folder, 'rollback-archive')
      await cp(join(folder, 'base'), copy, { recursive: true })
      await using server = await serveFolder(copy)
      const lock = async (hour?: number) => {
        await writeRelease(copy, { suite: 'stable' })
        const path = join(copy, 'dists/stable/Release')
        await writeFile(path, dated(hour)(await readFile(path, 'utf8')))
        await signArchive(copy, { gpg: archive.gpg, suite: 'stable', users: ['archive'] })
        return lockDebs({ archive: server.url, keys: [archive.key], packages: ['app'] }, { folder: cache })
      }
      await lock(5)
      await lock(5)
      const error = await errorOf(lock(3))
      expect(error.code).toBe('UPSTREAM_INVALID')
      expect(error.message).toMatch(/older than/)
      const named = /delete (\S+)$/.exec(error.next!)![1]!
      await lock(6)
      await rm(named)
      await lock(3)
      expect((await errorOf(lock())).message).toMatch(/older than/)
    })

    it("fault 33: another suite's signed Release in this one's place", async () => {
      const release = { Suite: 'testing', Codename: 'trixie' }
      const request = { suiteName: 'stable' }
      const error = await expectRefused(
        { release, request },
        { code: 'UPSTREAM_INVALID', why: /for testing, trixie, not stable/ },
      )
      expect(error.item).toMatch(/dists\/stable$/)
      const nameless = (text: string) => text.replace(/^(?:Suite|Codename): .*\n/gm, '')
      await expectRefused({ edit: nameless, request }, { code: 'UPSTREAM_INVALID', why: /names no suite/ })
      expect((await lockFrom({ release: { Suite: 'oldstable', Codename: 'stable' } })).notes).toEqual([])
      // undeclared, it is accepted as by apt, and said
      const { notes } = await lockFrom({ release })
      expect(notes).toEqual([expect.stringContaining('is for testing, trixie, not stable. apt accepts that')])
    })

    it.each(['Origin', 'Label', 'Codename'])(
      "fault 33: another suite's Release later: its %s",
      async field => {
        const cache = join(folder, `changed-${field}`)
        await mkdir(cache)
        const copy = join(folder, `changed-${field}-archive`)
        await cp(join(folder, 'base'), copy, { recursive: true })
        await using server = await serveFolder(copy)
        const lock = async (value: string) => {
          await writeRelease(copy, { suite: 'stable', release: { [field]: value } })
          await signArchive(copy, { gpg: archive.gpg, suite: 'stable', users: ['archive'] })
          return lockDebs({ archive: server.url, keys: [archive.key], packages: ['app'] }, { folder: cache })
        }
        await lock('one')
        const error = await errorOf(lock('two'))
        expect(error.message).toBe(`the Release file changed its ${field} from "one" to "two"`)
        await rm(/delete (\S+)/.exec(error.next!)![1]!)
        await lock('two')
      },
    )

    it("fault 33: another suite's Packages in this one's place", async () => {
      const other = gzipSync('Package: evil\nVersion: 1\nArchitecture: all\n'.padEnd(4096, '\n'), {
        level: 0,
      })
      const serve = (server: FileServer) => server.overrides.set(`/${index}/Packages.gz`, other)
      const error = await errorOf(lockFrom({ serve }))
      expect(['SIZE_MISMATCH', 'DIGEST_MISMATCH']).toContain(error.code)
      expect(error.exitCode).toBe(6)
    })

    it('fault 34: only MD5 and SHA-1 checksums', async () => {
      const edit = (text: string) =>
        text.replace(/^SHA256:\n(?: .*\n?)*/m, '').replace(/^SHA512:\n(?: .*\n?)*/m, '')
      await expectRefused({ edit }, { code: 'UPSTREAM_INVALID', why: /no SHA256 sums \(only md5sum, sha1\)/ })
    })

    it('fault 34: a package without SHA256', async () => {
      const files = editPackages(text => text.replaceAll(/^SHA256: .*\n/gm, ''))
      await expectRefused({ files }, { code: 'UPSTREAM_INVALID', why: /no size or no SHA256/ })
    })

    it('two different checksums for one file', async () => {
      const edit = (text: string) =>
        text.replace(/^SHA256:\n/m, `SHA256:\n ${'0'.repeat(64)} 1 main/binary-amd64/Packages\n`)
      await expectRefused({ edit }, { code: 'UPSTREAM_INVALID', why: /two different checksums/ })
    })

    it('a field that occurs twice in Release', async () => {
      const edit = (text: string) => `${text}Suite: stable\n`
      await expectRefused({ edit }, { code: 'UPSTREAM_INVALID', why: /occurs twice/ })
    })

    it('fault 35: Packages.gz longer, shorter or changed', async () => {
      const bytes = await readFile(join(folder, 'base', index, 'Packages.gz'))
      const flipped = Buffer.from(bytes)
      flipped[20] = flipped[20]! ^ 1
      for (const [wrong, code] of [
        [Buffer.concat([bytes, Buffer.from('x')]), 'SIZE_MISMATCH'],
        [bytes.subarray(0, -1), 'SIZE_MISMATCH'],
        [Buffer.alloc(0), 'SIZE_MISMATCH'],
        [flipped, 'DIGEST_MISMATCH'],
      ] as const) {
        const serve = (server: FileServer) => server.overrides.set(`/${index}/Packages.gz`, wrong)
        const error = await errorOf(lockFrom({ serve }))
        expect([error.code, error.exitCode]).toEqual([code, 6])
        expect(error.item).toContain('Packages.gz')
      }
    })

    it('fault 35: Packages unpacks to more, to less or to other bytes than Release says', async () => {
      const line = (size: number, hex: string) => ` ${hex} ${size} main/binary-amd64/Packages`
      const text = await readFile(join(folder, 'base', index, 'Packages'))
      const hex = hexOf(digestOf(text))
      for (const [forgery, code] of [
        [line(text.length - 1, hex), 'SIZE_MISMATCH'],
        [line(text.length + 1, hex), 'SIZE_MISMATCH'],
        [line(text.length, hexOf(digestOf('other'))), 'DIGEST_MISMATCH'],
      ] as const) {
        const edit = (release: string) =>
          release.replace(/^ [0-9a-f]{64} +[0-9]+ main\/binary-amd64\/Packages$/m, forgery)
        const error = await errorOf(lockFrom({ edit }))
        expect([error.code, error.exitCode]).toEqual([code, 6])
      }
    })

    it('fault 37: by-hash is used where it exists, whatever is served under the name', async () => {
      const { names, requests } = await lockFrom({
        files: copy => addByHash(copy, 'stable'),
        release: { 'Acquire-By-Hash': 'yes' },
        serve: server => server.overrides.set(`/${index}/Packages.gz`, 'already of the next release'),
        edit: text => `Acquire-By-Hash: yes\n${text.replace(/^Acquire-By-Hash.*\n/m, '')}`,
      })
      expect(names).toEqual(['app'])
      expect(requests.some(path => path.includes('/by-hash/SHA256/'))).toBe(true)
      expect(requests).not.toContain(`/${index}/Packages.gz`)
    })

    it('fault 37: by-hash is advertised but absent: the plain name is used', async () => {
      const edit = (text: string) => `Acquire-By-Hash: yes\n${text.replace(/^Acquire-By-Hash.*\n/m, '')}`
      const { names, requests } = await lockFrom({ edit })
      expect(names).toEqual(['app'])
      expect(requests).toContain(`/${index}/Packages.gz`)
    })

    it('fault 37: by-hash is not requested where it is not advertised', async () => {
      const { requests } = await lockFrom({ files: copy => addByHash(copy, 'stable') })
      expect(requests.filter(path => path.includes('by-hash'))).toEqual([])
    })

    it('fault 37: wrong bytes under the hash are refused, and nothing else is tried', async () => {
      const edit = (text: string) => `Acquire-By-Hash: yes\n${text.replace(/^Acquire-By-Hash.*\n/m, '')}`
      const size = (await readFile(join(folder, 'base', index, 'Packages.gz'))).length
      const hex = hexOf(digestOf(await readFile(join(folder, 'base', index, 'Packages.gz'))))
      const serve = (server: FileServer) =>
        server.overrides.set(`/${index}/by-hash/SHA256/${hex}`, Buffer.alloc(size))
      const error = await errorOf(lockFrom({ edit, serve }))
      expect(error.code).toBe('DIGEST_MISMATCH')
    })

    it.each([
      '../../../../etc/passwd',
      'pool/../../x.deb',
      '/etc/passwd',
      'https://evil.example/x.deb',
      './../x.deb',
      'pool\\..\\x.deb',
      'pool/\u0001x.deb',
      '',
    ])('fault 38: Filename: %j', async filename => {
      const files = editPackages(text => text.replaceAll(/^Filename: .*$/gm, `Filename: ${filename}`))
      const error = await errorOf(lockFrom({ files }))
      expect(error.code).toBe('UPSTREAM_INVALID')
      expect(error.message).toBe('the archive has an unsafe path for a package')
      expect(error.item).toMatch(/^(?:app) 1\.0 all: "/)
    })

    it.each(['pool/get?file=app.deb', 'pool/app#1.deb', 'pool/Packages', 'dists/stable/InRelease'])(
      'a path that apt cannot request from the site: %j',
      async filename => {
        const files = editPackages(text => text.replaceAll(/^Filename: .*$/gm, `Filename: ${filename}`))
        const error = await errorOf(lockFrom({ files }))
        expect(error.code).toBe('UPSTREAM_INVALID')
        expect(error.message).toBe('the archive has a path that apt cannot request for a package')
        expect(error.item).toBe(`app 1.0 all: ${JSON.stringify(filename)}`)
      },
    )

    it.each(['../../x', '/etc/passwd', 'main/../../x', 'https://host/x'])(
      'fault 38: an unsafe name in Release (%s) is ignored, as by apt, with the rest of the suite intact',
      async name => {
        const edit = (text: string) => text.replace(/^SHA256:\n/m, `SHA256:\n ${'0'.repeat(64)} 1 ${name}\n`)
        const { names, requests } = await lockFrom({ edit })
        expect(names).toEqual(['app'])
        expect(requests.every(path => path.startsWith('/dists/stable/') || path.startsWith('/pool/'))).toBe(
          true,
        )
      },
    )

    it.each(['before', 'after'])(
      'a name in Release with `./` (%s the plain one) is another file',
      async place => {
        const other = (text: string) =>
          text.replace(
            /^( [0-9a-f]{64} +[0-9]+ )(main\/binary-amd64\/Packages(?:\.\w+)?)$/gm,
            (line, _, path) => {
              const twin = ` ${'0'.repeat(64)} 1 ./${path}`
              return place === 'before' ? `${twin}\n${line}` : `${line}\n${twin}`
            },
          )
        expect((await lockFrom({ edit: other })).names).toEqual(['app'])
      },
    )

    it('a plus, a tilde and a percent sign in Filename reach the server unchanged', async () => {
      const odd = 'pool/a+b~c%3a d.deb'
      const files = editPackages(text => text.replaceAll(/^Filename: .*$/gm, `Filename: ${odd}`))
      await lockFrom({ files })
      await using server = await serveFolder(folder)
      await fetch(packageUrl(server.url, odd))
      expect(server.requests).toEqual([`/${odd}`])
    })

    it('fault 39: the same package and version twice, with different content', async () => {
      const files = editPackages(
        text => `${text}\n${text.replaceAll(/^SHA256: .*$/gm, `SHA256: ${'a'.repeat(64)}`)}`,
      )
      await expectRefused(
        { files },
        { code: 'UPSTREAM_INVALID', why: /exists twice, with different content/ },
      )
      const same = editPackages(text => `${text}\n${text}`)
      expect((await lockFrom({ files: same })).names).toEqual(['app'])
    })

    it.each([
      ['no field', (text: string) => text.replace(/^Version/m, 'garbage\nVersion'), /not a field/],
      ['a field twice', (text: string) => text.replace(/^Version/m, 'Version: 9\nVersion'), /occurs twice/],
      ['no version', (text: string) => text.replaceAll(/^Version:.*\n/gm, ''), /lacks Package, Version/],
      [
        'an invalid relation',
        (text: string) => text.replaceAll(/^Version/gm, 'Depends: a (= )\nVersion'),
        /not a package relation/,
      ],
      ['a line of 5 MB', (text: string) => `X: ${'a'.repeat(5 * MiB)}\n${text}`, /a line of more than/],
    ])('a Packages file with %s', async (_what, change, why) => {
      await expectRefused({ files: editPackages(change) }, { code: 'UPSTREAM_INVALID', why })
    })

    it('a path that is not UTF-8', async () => {
      const files = async (copy: string) => {
        const path = join(copy, index, 'Packages')
        const bytes = Buffer.from(
          (await readFile(path, 'latin1')).replaceAll('pool/', 'caf\u00e9/'),
          'latin1',
        )
        await writeFile(path, bytes)
        await writeFile(`${path}.gz`, gzipSync(bytes))
      }
      await expectRefused({ files }, { code: 'UPSTREAM_INVALID', why: /not UTF-8/ })
    })

    it('fault 25: a captive portal in place of InRelease', async () => {
      const serve = (server: FileServer) =>
        server.overrides.set('/dists/stable/InRelease', '<!DOCTYPE html><html>log in</html>')
      await expectRefused({ serve }, { code: 'UPSTREAM_INVALID', why: /a web page instead/ })
    })
  },
)
