import { createHash } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AirgapError } from '../../src/core/errors.ts'
import type { RpmRequest } from '../../src/kinds/rpm/entry.ts'
import { rpmKind } from '../../src/kinds/rpm/index.ts'
import type { LockedRpms } from '../../src/kinds/rpm/locked.ts'
import { joinedLines } from '../../src/lock/text-lines.ts'
import { Gpg } from '../kinds/deb/support/archive.ts'
import { must } from '../kinds/deb/support/programs.ts'
import { errorOf, withContext } from '../kinds/deb/support/resolve.ts'
import { serveFolder } from '../kinds/deb/support/server.ts'
import { lackingForRpm, makeRpms } from '../site/support/rpm.ts'

/** Malicious EL repositories: real ones, changed on purpose. */
describe.skipIf(lackingForRpm.length > 0)(
  `yum repositories (needs ${lackingForRpm.join(', ') || 'nothing more'})`,
  () => {
    const resources = new AsyncDisposableStack()
    let folder: string
    let gpg: Gpg
    let count = 0

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'airgap-rpm-'))
      gpg = resources.use(await Gpg.open(join(folder, 'gnupg')))
      await gpg.makeKey('publisher', { algorithm: 'rsa3072' })
      await gpg.makeKey('mallory', { algorithm: 'rsa3072' })
      await gpg.exportTo(join(folder, 'publisher.asc'), 'publisher')
      await gpg.exportTo(join(folder, 'mallory.asc'), 'mallory')
      await makeRpms(join(folder, 'good'), {
        gpgHome: gpg.home,
        user: 'publisher',
        packages: [
          { name: 'app', requires: ['lib'] },
          { name: 'lib', version: '0.9' },
          { name: 'lib' },
          { name: 'old', version: '0.9' },
        ],
      })
      await sign(join(folder, 'good'))
    }, 60_000)
    afterAll(async () => {
      await resources.disposeAsync()
      await rm(folder, { recursive: true, force: true })
    })

    const sign = async (place: string, user = 'publisher') => {
      const repomd = join(place, 'repodata/repomd.xml')
      await gpg.run(
        '--local-user',
        `${user}@example.org`,
        '--armor',
        '--output',
        `${repomd}.asc`,
        '--detach-sign',
        repomd,
      )
    }

    /** A copy for the test to damage. */
    async function copy(): Promise<string> {
      const place = join(folder, `copy-${count++}`)
      await cp(join(folder, 'good'), place, { recursive: true })
      return place
    }

    /** Changes a metadata file, and updates and signs repomd.xml. */
    async function changeList(place: string, kind: string, change: (text: Buffer) => Buffer): Promise<void> {
      const data = join(place, 'repodata')
      const name = (await readdir(data)).find(file => file.endsWith(`${kind}.xml.gz`))!
      const before = await readFile(join(data, name))
      const { gunzipSync } = await import('node:zlib')
      const open = change(gunzipSync(before))
      const after = gzipSync(open)
      await writeFile(join(data, name), after)
      const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
      let text = await readFile(join(data, 'repomd.xml'), 'utf8')
      text = text
        .replaceAll(sha(before), sha(after))
        .replaceAll(sha(gunzipSync(before)), sha(open))
        .replace(`<size>${before.length}<`, `<size>${after.length}<`)
        .replace(`<open-size>${gunzipSync(before).length}<`, `<open-size>${open.length}<`)
      await writeFile(join(data, 'repomd.xml'), text)
      await sign(place)
    }

    async function lock(
      place: string,
      change: Partial<RpmRequest['repositories'][0]> = {},
      packages = ['app'],
    ): Promise<LockedRpms> {
      await using server = await serveFolder(place)
      const keys = [join(folder, 'publisher.asc')]
      const request: RpmRequest = {
        at: 'stack.yaml:5:5',
        name: 'el9',
        platform: 'platform:el9',
        repositories: [
          {
            id: 'baseos',
            baseurl: server.url,
            keys,
            keysAsWritten: keys,
            metadata: 'signed',
            packages: 'signed',
            priority: 99,
            excludepkgs: [],
            moduleHotfixes: false,
            ...change,
          },
        ],
        architectures: ['x86_64'],
        modules: [],
        packages,
        kernelPackages: [],
        weak: false,
        base: { type: 'none' },
      }
      const cache = await mkdtemp(join(folder, 'cache-'))
      return await withContext({ folder: cache }, context => rpmKind.resolve(request, context))
    }
    const refused = async (
      place: string,
      change: Partial<RpmRequest['repositories'][0]> = {},
    ): Promise<AirgapError> => await errorOf(lock(place, change))

    it('is locked without changes', async () => {
      const locked = await lock(await copy())
      expect(locked.packages.map(one => [one.name, one.requested, one.because])).toEqual([
        ['app', true, undefined],
        ['lib', undefined, 'app'],
      ])
      expect(locked.packages[0]!.signedBy).toBe(await gpg.fingerprint('publisher'))
      expect(joinedLines(locked.packages[0]!.primary)).toMatch(/^<package type="rpm">[\s\S]*<\/package>$/)
      expect(joinedLines(locked.packages[0]!.filelists)).toContain('/opt/app/file')
    })

    it('fault 46: repomd.xml signed by another key, changed after it was signed, or not signed', async () => {
      const other = await copy()
      await sign(other, 'mallory')
      expect((await refused(other)).code).toBe('SIGNATURE_INVALID')
      const changed = await copy()
      const path = join(changed, 'repodata/repomd.xml')
      await writeFile(path, (await readFile(path, 'utf8')).replace('<revision>', '<revision>1'))
      expect((await refused(changed)).code).toBe('SIGNATURE_INVALID')
      const stripped = await copy()
      await rm(join(stripped, 'repodata/repomd.xml.asc'))
      const error = await refused(stripped)
      expect([error.code, error.next]).toEqual([
        'SIGNATURE_INVALID',
        expect.stringContaining('metadata: unsigned'),
      ])
      // where the publisher signs packages only, each of them is still verified
      expect((await lock(stripped, { metadata: 'unsigned' })).packages).toHaveLength(2)
    })

    it('fault 35: a metadata file that is not the one that repomd.xml names', async () => {
      const place = await copy()
      const name = (await readdir(join(place, 'repodata'))).find(file => file.endsWith('primary.xml.gz'))!
      await writeFile(join(place, 'repodata', name), gzipSync('<metadata/>'))
      expect((await refused(place)).code).toBe('DIGEST_MISMATCH')
    })

    it.each([
      [
        'weak',
        /type="sha256">[0-9a-f]{64}/g,
        'type="sha">0123456789012345678901234567890123456789',
        'UPSTREAM_INVALID',
      ],
      ['of an unknown kind', /type="sha256"/g, 'type="crc"', 'UPSTREAM_INVALID'],
      ['missing', /<checksum [^>]*>[^<]*<\/checksum>/g, '', 'UPSTREAM_INVALID'],
    ])('fault 45: a checksum in repomd.xml that is %s', async (_, pattern, replacement, code) => {
      const place = await copy()
      const path = join(place, 'repodata/repomd.xml')
      await writeFile(path, (await readFile(path, 'utf8')).replace(pattern, replacement))
      await sign(place)
      expect((await refused(place)).code).toBe(code)
    })

    it('fault 36: a metadata file that unpacks to more than its stated size', async () => {
      const place = await copy()
      await changeList(place, 'primary', text => Buffer.concat([text, Buffer.alloc(8 << 20, ' ')]))
      const path = join(place, 'repodata/repomd.xml')
      const text = await readFile(path, 'utf8')
      await writeFile(path, text.replace(/(<data type="primary">[\s\S]*?<open-size>)\d+/, '$11000'))
      await sign(place)
      expect((await refused(place)).code).toBe('SIZE_MISMATCH')
    })

    it.each([
      [
        'with exponential entities',
        (text: string) => text.replace('?>', '?><!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'),
      ],
      [
        'with a document type',
        (text: string) => text.replace('?>', '?><!DOCTYPE metadata SYSTEM "http://evil.example/x.dtd">'),
      ],
      ['that is not well-formed at its end', (text: string) => text.replace('</metadata>', '</metadata')],
      [
        'that hides a package in a comment',
        (text: string) => text.replace('<package ', '<!-- <package type="rpm"></package> --><package '),
      ],
      ['with an undefined entity', (text: string) => text.replace('<name>app', '<name>&evil;app')],
    ])('fault 48: a metadata file %s', async (_, change) => {
      const place = await copy()
      await changeList(place, 'primary', text => Buffer.from(change(text.toString())))
      const error = await refused(place)
      expect([error.code, error.exitCode]).toEqual(['UPSTREAM_INVALID', 5])
    })

    /** Moves `app`, or all packages, to another address. */
    const relocate = (place: string, location: string, names = 'app') =>
      changeList(place, 'primary', text =>
        Buffer.from(
          text
            .toString()
            .replaceAll(new RegExp(`location href="[^"]*(?:${names})[^"]*"`, 'g'), `location ${location}`),
        ),
      )

    it.each(['../../etc/passwd', '/etc/passwd', '../copy/repodata/x'])(
      'fault 38: a package at %s stays below its server, and in its folder of the bundle',
      async href => {
        const place = await copy()
        const [app] = (await readdir(join(place, 'Packages'))).filter(name => name.startsWith('app-'))
        const target = join(place, new URL(`http://x/${href}`).pathname)
        await mkdir(dirname(target), { recursive: true })
        await cp(join(place, 'Packages', app!), target)
        await relocate(place, `href="${href}"`)
        const locked = await lock(place)
        const one = locked.packages.find(({ name }) => name === 'app')!
        expect(one.location).toMatch(
          /^(?:elsewhere\/[0-9a-f]{32}\/app-1\.0-1\.el9\.noarch\.rpm|etc\/passwd)$/,
        )
        expect(joinedLines(one.primary)).toContain(`<location href="${one.location}"/>`)
        const paths = rpmKind.assemble([locked]).flatMap(({ blobs }) => blobs)
        expect(paths).toHaveLength(2)
      },
    )

    it.each([
      ['href="file:///etc/passwd"', 'its address is neither http nor https'],
      ['xml:base="ftp://x.example/" href="app.rpm"', 'its address is neither http nor https'],
      ['xml:base="media://1#2" href="app.rpm"', 'its address is neither http nor https'],
      ['xml:base="../up" href="app.rpm"', 'its address (xml:base) is not a URL'],
      ['xml:base="http://me:secret@x.example" href="app.rpm"', 'its address contains a password'],
      ['href="http://x.example/app.rpm?X-Amz-Signature=secret"', 'its address contains a password'],
    ])('a package at %s is refused by name, and only where it is needed', async (location, reason) => {
      const place = await copy()
      await relocate(place, location)
      const error = await refused(place)
      expect([error.code, error.exitCode]).toEqual(['UNRESOLVABLE', 4])
      expect(`${error.message} ${error.likely}`).toContain(`app-1.0-1.el9.noarch is left out: ${reason}`)
      expect(JSON.stringify(error)).not.toContain('secret')
      const others = await lock(place, {}, ['lib'])
      expect([others.packages.map(({ name }) => name), others.leftOut]).toEqual([['lib'], undefined])
    })

    it('leaves a package out where another one will do, and says so', async () => {
      const place = await copy()
      await relocate(place, 'href="file:///lib"', 'lib-1')
      const { packages, leftOut } = await lock(place)
      expect(packages.map(({ name, version }) => `${name} ${version}`)).toEqual(['app 1.0', 'lib 0.9'])
      expect(leftOut).toEqual([
        { name: 'lib-1.0-1.el9.noarch', reason: 'its address is neither http nor https' },
      ])
    })

    it('an unsigned list does not lead to another server', async () => {
      await using other = await serveFolder(folder)
      const place = await copy()
      await relocate(place, `xml:base="${other.url}/good/Packages" href="app-1.0-1.el9.noarch.rpm"`)
      expect((await lock(place)).packages.map(({ href }) => href)).toEqual([
        `${other.url}/good/Packages/app-1.0-1.el9.noarch.rpm`,
        undefined,
      ])
      const error = await refused(place, { metadata: 'unsigned' })
      expect(`${error.message} ${error.likely}`).toContain('the list that says so is not signed')
    })

    it('fault 47: a package signed by another key, or by none', async () => {
      const place = await copy()
      const app = (await readdir(join(place, 'Packages')))
        .filter(name => name.startsWith('app-'))
        .map(name => join(place, 'Packages', name))
      await must('rpmsign', ['--delsign', ...app])
      await must('createrepo_c', ['--no-database', '--simple-md-filenames', '--compress-type', 'gz', place])
      await sign(place)
      const error = await refused(place)
      expect([error.code, error.message]).toEqual(['SIGNATURE_INVALID', 'a package is not signed'])
      // good metadata, but a key that is not the publisher's
      const good = await copy()
      expect((await refused(good, { keys: [join(folder, 'mallory.asc')] })).code).toBe('SIGNATURE_INVALID')
    })

    it('a package with a forged header: one bit of it, or another signed package in its place', async () => {
      const place = await copy()
      const packages = join(place, 'Packages')
      const names = await readdir(packages)
      const path = (name: string) => join(packages, names.find(file => file.startsWith(`${name}-`))!)
      const bytes = await readFile(path('app'))
      const at = bytes.lastIndexOf('/opt/app') >= 0 ? bytes.lastIndexOf('test') : bytes.indexOf('test')
      const forged = Buffer.from(bytes)
      forged[at] = forged[at]! ^ 1
      await writeFile(path('app'), forged)
      expect((await refused(place)).code).toBe('SIGNATURE_INVALID')
      // an old package with its valid signature, under a new package's name
      await cp(path('old'), path('app'))
      await must('createrepo_c', ['--no-database', '--simple-md-filenames', '--compress-type', 'gz', place])
      await changeList(place, 'primary', text => {
        const [first, ...rest] = text.toString().split('</package>')
        const renamed = first!.includes('<name>old') ? first!.replace('<name>old', '<name>app') : first!
        return Buffer.from([renamed, ...rest].join('</package>').replace('<name>old', '<name>app'))
      })
      const error = await refused(place)
      expect(error.code).toBe('SIGNATURE_INVALID')
    })
  },
)
