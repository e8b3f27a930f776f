import { createHash } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AirgapError, isErrorCode } from '../../src/core/errors.ts'
import { parseComps } from '../../src/kinds/rpm/comps.ts'
import type { RpmRequest } from '../../src/kinds/rpm/entry.ts'
import { readHeader, readSignatureHeader } from '../../src/kinds/rpm/header.ts'
import { rpmKind } from '../../src/kinds/rpm/index.ts'
import type { LockedRpms } from '../../src/kinds/rpm/locked.ts'
import { parseModules } from '../../src/kinds/rpm/modules.ts'
import { parseRepomd } from '../../src/kinds/rpm/repomd.ts'
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
        packages: [{ name: 'app', requires: ['lib'] }, { name: 'lib' }, { name: 'old', version: '0.9' }],
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
            priority: 99,
            excludepkgs: [],
            moduleHotfixes: false,
            ...change,
          },
        ],
        architectures: ['x86_64'],
        modules: [],
        packages: ['app'],
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
      expect(locked.packages[0]!.primary).toMatch(/^<package type="rpm">[\s\S]*<\/package>$/)
      expect(locked.packages[0]!.filelists).toContain('/opt/app/file')
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

    it.each(['../../etc/passwd', '/etc/passwd', 'http://evil.example/app.rpm'])(
      'fault 38: a package at %s',
      async location => {
        const place = await copy()
        await changeList(place, 'primary', text =>
          Buffer.from(
            text.toString().replaceAll(/location href="[^"]*app[^"]*"/g, `location href="${location}"`),
          ),
        )
        expect((await refused(place)).code).toBe('UPSTREAM_INVALID')
      },
    )

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

describe('any metadata from upstream', () => {
  const safe = (work: () => unknown) => {
    try {
      work()
    } catch (error) {
      expect(isErrorCode(error, 'UPSTREAM_INVALID')).toBe(true)
    }
  }

  it('is read, or refused with a proper error (property)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), bytes =>
        safe(() => readHeader(Buffer.from(bytes), 'x')),
      ),
    )
    const header = Buffer.concat([Buffer.from([0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0]), Buffer.alloc(200)])
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(190), fc.nat(255)), { maxLength: 20 }), changes => {
        const bytes = Buffer.from(header)
        for (const [at, value] of changes) bytes[8 + at] = value
        safe(() => {
          const parsed = readHeader(bytes, 'x')
          for (const tag of [1000, 1003, 268]) [parsed.string(tag), parsed.int32(tag), parsed.bin(tag)]
        })
        safe(() =>
          readSignatureHeader(
            Buffer.concat([Buffer.from([0xed, 0xab, 0xee, 0xdb]), Buffer.alloc(92), bytes]),
            'x',
          ),
        )
      }),
    )
    const words = fc.constantFrom(
      '<repomd>',
      '<data type="primary">',
      '</data>',
      '<location href="a"/>',
      '<checksum type="sha256">',
      '</checksum>',
      '</repomd>',
      '&',
      '<!DOCTYPE x>',
      'a',
      '<group>',
      '</group>',
      '<id>',
      '---\n',
      'document: modulemd\n',
      'data: {',
      '}',
      '\n',
      '*x',
      '&x ',
    )
    fc.assert(
      fc.property(fc.array(words, { maxLength: 20 }), parts => {
        safe(() => parseRepomd(parts.join(''), 'http://x.example/'))
        safe(() => parseComps(parts.join(''), { repository: 0, item: 'x' }))
        safe(() => parseModules(parts.join(''), { repository: 0, item: 'x' }))
      }),
    )
  })

  it('fault 59: modules.yaml with exponential aliases is refused', () => {
    const lines = ['document: modulemd', 'a: &a [x, x, x, x, x, x, x, x, x]']
    for (let i = 1; i < 9; i++)
      lines.push(
        `${'abcdefghij'[i]}: &${'abcdefghij'[i]} [${Array(9)
          .fill(`*${'abcdefghij'[i - 1]}`)
          .join(', ')}]`,
      )
    expect(() => parseModules(`---\n${lines.join('\n')}\n`, { repository: 0, item: 'x' })).toThrow(
      expect.objectContaining({ code: 'UPSTREAM_INVALID' }),
    )
  })

  it('has streams as strings: 1.10 is not a number', () => {
    const { streams } = parseModules(
      '---\ndocument: modulemd\nversion: 2\ndata: {name: a, stream: 1.10, version: 820, context: 0e5, arch: x86_64}\n',
      { repository: 0, item: 'x' },
    )
    expect([streams[0]?.stream, streams[0]?.context]).toEqual(['1.10', '0e5'])
  })
})
