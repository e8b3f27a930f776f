import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Gpg, makeArchive, signArchive, writeRelease } from '../kinds/deb/support/archive.ts'
import { missing, tempFolder } from '../kinds/deb/support/programs.ts'
import { errorOf, lockDebs } from '../kinds/deb/support/resolve.ts'
import { serveFolder } from '../kinds/deb/support/server.ts'

const lacking = missing('apt-ftparchive', 'dpkg-deb', 'gpg')

/** Who signed the suite, and what exactly: each archive is real, made with stock tools, and signed with the test's keys. */
describe.skipIf(lacking.length > 0)(
  `hostile apt signatures (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let folder: string
    let gpg: Gpg
    let key: string
    let count = 0

    beforeAll(async () => {
      const temp = resources.use(await tempFolder())
      folder = temp.path
      gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
      for (const user of ['archive', 'mallory']) await gpg.makeKey(user)
      key = await gpg.exportTo(join(folder, 'archive.asc'), 'archive')
      await makeArchive(join(folder, 'base'), { suite: 'stable', packages: [{ name: 'app' }] })
      await signArchive(join(folder, 'base'), { gpg, suite: 'stable', users: ['archive'] })
    })
    afterAll(() => resources.disposeAsync())

    interface Attack {
      users?: string[]
      args?: string[]
      keys?: string[]
      /** changes InRelease after signing; Release and Release.gpg are then absent */
      inRelease?: (text: string) => string
    }

    /** Locks from an attacked copy of the archive. */
    async function lockFrom(attack: Attack) {
      const copy = join(folder, `attack-${++count}`)
      await cp(join(folder, 'base'), copy, { recursive: true })
      const { users, args, keys = [key], inRelease } = attack
      if (users) await signArchive(copy, { gpg, suite: 'stable', users, ...(args ? { args } : {}) })
      await using server = await serveFolder(copy)
      if (inRelease) {
        const path = join(copy, 'dists/stable/InRelease')
        await writeFile(path, inRelease(await readFile(path, 'utf8')))
        for (const name of ['Release', 'Release.gpg'])
          server.overrides.set(`/dists/stable/${name}`, 'missing')
      }
      const locked = await lockDebs({ archive: server.url, keys, packages: ['app'] }, { folder: copy })
      return locked.packages.map(deb => deb.name)
    }

    async function expectRefused(attack: Attack, why: RegExp) {
      const error = await errorOf(lockFrom(attack))
      expect(error.message).toMatch(why)
      expect(error.code).toBe('SIGNATURE_INVALID')
      expect(error.exitCode).toBe(6)
      expect(error.item).toMatch(/\/dists\/stable/)
      expect(error.likely && error.next).toBeTruthy()
    }

    it('the unchanged archive is good', async () => {
      expect(await lockFrom({})).toEqual(['app'])
    })

    it('fault 26: signed by another key', async () => {
      await expectRefused({ users: ['mallory'] }, /not one of the accepted keys/)
    })

    it('fault 26: one signature of several by a known key is enough', async () => {
      expect(await lockFrom({ users: ['mallory', 'archive'] })).toEqual(['app'])
    })

    it.each([
      ['rsa1024', []],
      ['dsa1024', []],
      ['rsa2048', ['--digest-algo', 'SHA1']],
    ])('a weak signature says that it is weak: %s %j', async (algorithm, args) => {
      const user = `weak-${algorithm}`
      await gpg.makeKey(user, { algorithm })
      const keys = [await gpg.exportTo(join(folder, `${user}.asc`), user)]
      const error = await errorOf(lockFrom({ users: [user], keys, args }))
      expect([error.code, error.likely], error.message).toEqual([
        'SIGNATURE_INVALID',
        expect.stringContaining('too weak'),
      ])
      expect(error.next).toContain('stronger key')
    })

    it('a signature by a subkey is good', async () => {
      const fingerprint = await gpg.makeKey('subkeyed')
      await gpg.run('--quick-add-key', fingerprint, 'ed25519', 'sign', 'never')
      const keys = [await gpg.exportTo(join(folder, 'subkeyed.asc'), 'subkeyed')]
      expect(await lockFrom({ users: ['subkeyed'], keys })).toEqual(['app'])
    })

    it('fault 27: signed by an expired key, even before it expired', async () => {
      await gpg.makeKey('expired', { at: '20200101T000000', expires: '2021-01-01' })
      const keys = [await gpg.exportTo(join(folder, 'expired.asc'), 'expired')]
      const args = ['--faked-system-time', '20200601T000000']
      await expectRefused({ users: ['expired'], keys, args }, /expired/i)
    })

    it('fault 27: signed by a revoked key', async () => {
      const fingerprint = await gpg.makeKey('revoked')
      const copy = join(folder, 'revoked-archive')
      await cp(join(folder, 'base'), copy, { recursive: true })
      await signArchive(copy, { gpg, suite: 'stable', users: ['revoked'] })
      const certificate = await readFile(join(gpg.home, 'openpgp-revocs.d', `${fingerprint}.rev`), 'utf8')
      await writeFile(join(folder, 'revoked.rev'), certificate.replace(/^:(?=-----BEGIN)/m, ''))
      await gpg.run('--import', join(folder, 'revoked.rev'))
      const keys = [await gpg.exportTo(join(folder, 'revoked.asc'), 'revoked')]
      await using server = await serveFolder(copy)
      const error = await errorOf(
        lockDebs({ archive: server.url, keys, packages: ['app'] }, { folder: copy }),
      )
      expect(error.message).toMatch(/revoked/i)
      expect(error.exitCode).toBe(6)
    })

    it('fault 27: an expired signature', async () => {
      const args = ['--faked-system-time', '20260101T000000!', '--default-sig-expire', '1d']
      await gpg.makeKey('old', { at: '20250101T000000' })
      const keys = [await gpg.exportTo(join(folder, 'old.asc'), 'old')]
      await expectRefused({ users: ['old'], keys, args }, /expired/i)
    })

    it('fault 28: InRelease without its signature', async () => {
      const unsigned = (text: string) =>
        text.slice(text.indexOf('\n\n') + 2, text.indexOf('-----BEGIN PGP SIGNATURE'))
      await expectRefused({ inRelease: unsigned }, /not clear-signed/)
      const cut = (text: string) => text.slice(0, text.indexOf('-----BEGIN PGP SIGNATURE'))
      await expectRefused({ inRelease: cut }, /no signature/)
      const empty = (text: string) => text.replace(/(PGP SIGNATURE-----\n\n)[\s\S]*?(\n-----END)/, '$1$2')
      await expectRefused({ inRelease: empty }, /cannot be read|no good signature/)
      const half = (text: string) => text.slice(0, text.indexOf('-----END PGP SIGNATURE'))
      await expectRefused({ inRelease: half }, /truncated/)
    })

    it('fault 28: neither InRelease nor Release.gpg', async () => {
      await using server = await serveFolder(join(folder, 'base'))
      for (const name of ['InRelease', 'Release.gpg'])
        server.overrides.set(`/dists/stable/${name}`, 'missing')
      const error = await errorOf(
        lockDebs(
          { archive: server.url, keys: [key], packages: ['app'] },
          { folder: join(folder, 'unsigned') },
        ),
      )
      expect(error.code).toBe('SIGNATURE_INVALID')
      expect(error.message).toContain('is not signed')
    })

    it('Release with Release.gpg is accepted like InRelease, with the same checks', async () => {
      await using server = await serveFolder(join(folder, 'base'))
      server.overrides.set('/dists/stable/InRelease', 'missing')
      const request = { archive: server.url, keys: [key], packages: ['app'] }
      expect((await lockDebs(request, { folder: join(folder, 'detached') })).packages).toHaveLength(1)
      const text = await readFile(join(folder, 'base/dists/stable/Release'), 'utf8')
      server.overrides.set('/dists/stable/Release', `${text}Label: x\n`)
      const error = await errorOf(lockDebs(request, { folder: join(folder, 'detached') }))
      expect(error.code).toBe('SIGNATURE_INVALID')
      expect(error.message).toMatch(/digest did not match|no good signature/)
    })

    it.each([
      ['before', (text: string) => `Suite: evil\n${text}`, /text precedes/],
      ['before, as a blank line', (text: string) => `\n${text}`, /text precedes/],
      ['after', (text: string) => `${text}Suite: evil\n`, /text follows/],
      [
        'between text and signature',
        (text: string) =>
          text.replace('\n-----BEGIN PGP SIGNATURE', '\nSuite: evil\n-----BEGIN PGP SIGNATURE'),
        /no good signature/,
      ],
      ['in the armor headers', (text: string) => text.replace('\n\n', '\nSuite: evil\n\n'), /armor headers/],
      [
        'in the signature',
        (text: string) => text.replace('\n-----END', '\n-----BEGIN X-----\n-----END'),
        /malformed/,
      ],
      ['after a NUL byte', (text: string) => text.replace('\nDate:', '\n\0Date:'), /NUL/],
      [
        'as an unescaped dash',
        (text: string) => text.replace('\nDate:', '\n-----BEGIN EVIL-----\nDate:'),
        /unescaped dash/,
      ],
    ])('fault 29: text %s', async (_where, inRelease, why) => {
      await expectRefused({ inRelease }, why)
    })

    it('fault 29: a changed, a removed and an added line', async () => {
      for (const change of [
        (text: string) => text.replace('Suite: stable', 'Suite: stabel'),
        (text: string) => text.replace(/^Architectures:.*\n/m, ''),
        (text: string) => text.replace(/^Suite: /m, 'Label: x\nSuite: '),
      ]) {
        await expectRefused({ inRelease: change }, /no good signature/)
      }
    })

    it('line endings and trailing blanks, which are not signed, make no difference', async () => {
      expect(await lockFrom({ inRelease: text => text.replaceAll('\n', '\r\n') })).toEqual(['app'])
      expect(
        await lockFrom({ inRelease: text => text.replace('Suite: stable\n', 'Suite: stable \t\n') }),
      ).toEqual(['app'])
    })

    it('fault 30: two signed documents in one file', async () => {
      await expectRefused({ inRelease: text => text + text }, /text follows/)
      const other = join(folder, 'other')
      await cp(join(folder, 'base'), other, { recursive: true })
      await writeRelease(other, { suite: 'stable', release: { Label: 'other' } })
      await signArchive(other, { gpg, suite: 'stable', users: ['mallory'] })
      const evil = await readFile(join(other, 'dists/stable/InRelease'), 'utf8')
      await expectRefused({ inRelease: text => evil + text }, /text follows/)
      const inside = (text: string) =>
        text.replace('\n-----BEGIN PGP SIGNATURE', `\n${evil}\n-----BEGIN PGP SIGNATURE`)
      await expectRefused({ inRelease: inside }, /unescaped dash|text follows/)
    })

    it('fault 30: the same signature twice: no second text is read', async () => {
      const doubled = (text: string) => {
        const signature = text.slice(text.indexOf('-----BEGIN PGP SIGNATURE'))
        return `${text.slice(0, text.indexOf('-----BEGIN PGP SIGNATURE'))}${signature}${signature}`
      }
      await expectRefused({ inRelease: doubled }, /text follows/)
    })

    it('a signature over SHA-1 is refused', async () => {
      await gpg.makeKey('weak', { algorithm: 'rsa2048' })
      const keys = [await gpg.exportTo(join(folder, 'weak.asc'), 'weak')]
      const args = ['--digest-algo', 'SHA1', '--allow-weak-digest-algos']
      await expectRefused({ users: ['weak'], keys, args }, /Insecure message hash algorithm: SHA1/i)
    })

    it('a key file without a key, or with a private one, is refused', async () => {
      const empty = join(folder, 'empty.asc')
      await writeFile(empty, '')
      const secret = join(folder, 'secret.asc')
      await writeFile(secret, await gpg.run('--armor', '--export-secret-keys', 'archive'))
      const page = join(folder, 'page.asc')
      await writeFile(page, '<html>not found</html>')
      for (const path of [empty, secret, page]) {
        const error = await errorOf(lockFrom({ keys: [path] }))
        expect([error.code, error.exitCode, error.item]).toEqual(['KEY_INVALID', 2, path])
        expect(error.next).toContain('gpg --armor --export')
      }
      expect((await errorOf(lockFrom({ keys: [join(folder, 'none.asc')] }))).code).toBe('FILE_NOT_FOUND')
    })

    it('a binary keyring and several armored keys in one file are read', async () => {
      const binary = join(folder, 'archive.gpg')
      await gpg.run('--output', binary, '--export', 'archive')
      expect(await lockFrom({ keys: [binary] })).toEqual(['app'])
      const both = join(folder, 'both.asc')
      await gpg.exportTo(join(folder, 'mallory.asc'), 'mallory')
      await writeFile(
        both,
        (await readFile(join(folder, 'mallory.asc'), 'utf8')) + (await readFile(key, 'utf8')),
      )
      expect(await lockFrom({ keys: [both] })).toEqual(['app'])
    })
  },
)
