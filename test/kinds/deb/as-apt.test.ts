import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseReleaseDate } from '../../../src/kinds/deb/release-date.ts'
import { addByHash } from './support/archive.ts'
import { missing, must } from './support/programs.ts'
import { errorOf } from './support/resolve.ts'
import type { FileServer } from './support/server.ts'
import { type Variant, variantIndex, variants } from './support/variants.ts'

const lacking = missing('apt-get', 'apt-ftparchive', 'dpkg-deb', 'gpg', 'bzip2', 'xz', 'lzma')

const removed = (field: string) => (text: string) => text.replace(new RegExp(`^${field}: .*\\n`, 'm'), '')
const changed = (field: string, value: string) => (text: string) =>
  text.replace(new RegExp(`^${field}: .*$`, 'm'), `${field}: ${value}`)
const byHash = (text: string) => `Acquire-By-Hash: yes\n${text.replace(/^Acquire-By-Hash.*\n/m, '')}`

/** Replaces Packages and Packages.gz by other compressions of Packages. */
const packed =
  (...programs: string[]) =>
  async (copy: string) => {
    const path = join(copy, variantIndex, 'Packages')
    for (const program of programs) await must(program, ['--keep', '--force', path])
    if (!programs.includes('gzip')) await rm(`${path}.gz`)
  }
/** All but one of the files that Release lists are absent from the server. */
const only = (name: string) => (server: FileServer) => {
  for (const other of ['Packages', 'Packages.gz', 'Packages.bz2', 'Packages.xz', 'Packages.lzma'])
    if (other !== name) server.overrides.set(`/${variantIndex}/${other}`, 'missing')
}
const answering =
  (status: number, ...paths: string[]) =>
  (server: FileServer) => {
    for (const path of paths)
      server.overrides.set(path, response => {
        response.statusCode = status
        response.end()
      })
  }
const latin1 = async (copy: string) => {
  const path = join(copy, variantIndex, 'Packages')
  const text = (await readFile(path, 'latin1')).replaceAll('test package', 'caf\u00e9 package')
  await writeFile(path, text, 'latin1')
  await writeFile(`${path}.gz`, gzipSync(Buffer.from(text, 'latin1')))
}
const crlf = async (copy: string) => {
  const path = join(copy, variantIndex, 'Packages')
  const text = (await readFile(path, 'latin1')).replaceAll('\n', '\r\n')
  await writeFile(path, text)
  await writeFile(`${path}.gz`, gzipSync(text))
}
const allOnly = async (copy: string) => {
  const folder = join(copy, 'dists/stable/main')
  await rename(join(folder, 'binary-amd64'), join(folder, 'binary-all'))
}

/** What stock apt accepts, with a warning or without one, and the note that is shown here. */
const accepted: [string, Variant, RegExp | undefined][] = [
  [
    'a suite with a path',
    { suite: 'bionic/snapshots', release: { Suite: 'bionic', Codename: 'b' } },
    undefined,
  ],
  [
    'a suite whose path is deeper than its name',
    { suite: 'bionic/snapshots/5', release: { Suite: 'bionic', Codename: 'b' } },
    /is for bionic, b, not bionic\/snapshots\/5\. .*set suiteName: bionic/,
  ],
  [
    'another name',
    { suite: 'devel', release: { Suite: 'resolute', Codename: 'resolute' } },
    /is for resolute, not devel\. apt accepts that with a warning/,
  ],
  ['no name', { edit: text => removed('Codename')(removed('Suite')(text)) }, /names no suite, not stable/],
  [
    'a declared name',
    { suite: 'devel', release: { Suite: 'r', Codename: 'r' }, request: { suiteName: 'r' } },
    undefined,
  ],
  ['no date', { edit: removed('Date') }, /has no Date/],
  [
    'a date that is none',
    { edit: changed('Date', 'yesterday') },
    /a Date that apt cannot read \(yesterday\)/,
  ],
  ['a date in local time', { edit: changed('Date', 'Fri, 02 Jan 2026 00:00:00 +0200') }, /cannot read/],
  ['a date as C programs print it', { edit: changed('Date', 'Fri Jan  2 00:00:00 2026') }, undefined],
  [
    'a Valid-Until with a zero offset',
    { edit: text => `Valid-Until: Fri, 01 Jan 2049 00:00:00 +0000\n${text}` },
    undefined,
  ],
  ['Architectures: all', { files: allOnly, release: { Architectures: 'all' } }, undefined],
  ['no Architectures, and binary-all', { files: allOnly, edit: removed('Architectures') }, undefined],
  ['a component that the suite lacks', { request: { components: ['main', 'contrib'] } }, undefined],
  ['a description in Latin-1', { files: latin1 }, undefined],
  ['a label in Latin-1', { edit: text => `Label: caf\u00e9\n${removed('Label')(text)}` }, undefined],
  ['carriage returns in Packages', { files: crlf }, undefined],
  ['carriage returns in Release', { edit: text => text.replaceAll('\n', '\r\n') }, undefined],
  ['bzip2 alone', { files: packed('bzip2'), serve: only('Packages.bz2') }, undefined],
  [
    'bzip2 beside absent xz and gz',
    { files: packed('bzip2', 'xz', 'gzip'), serve: only('Packages.bz2') },
    undefined,
  ],
  ['gzip beside an absent xz', { files: packed('xz', 'gzip'), serve: only('Packages.gz') }, undefined],
  ['the uncompressed index alone', { files: packed('xz'), serve: only('Packages') }, undefined],
  [
    'an xz that is denied',
    { files: packed('xz', 'gzip'), serve: answering(403, `/${variantIndex}/Packages.xz`) },
    undefined,
  ],
  ['by-hash that is advertised only', { edit: byHash }, undefined],
]

describe.skipIf(lacking.length > 0)(
  `an archive that stock apt reads is locked (needs ${lacking.join(', ') || 'nothing more'})`,
  () => {
    let archive: Awaited<ReturnType<typeof variants>>
    beforeAll(async () => {
      archive = await variants()
    })
    afterAll(() => archive.resources.disposeAsync())

    it.each(accepted)('%s', async (_, variant, note) => {
      const apt = await archive.aptFrom(variant)
      expect(apt.names, apt.output).toEqual(['app'])
      const { names, notes } = await archive.lockFrom(variant)
      expect(names).toEqual(['app'])
      if (note === undefined) expect(notes).toEqual([])
      else expect(notes).toEqual([expect.stringMatching(note)])
    })

    it.each([403, 404, 410, 503])(
      'by-hash that answers %i',
      async status => {
        const hashes: string[] = []
        const variant: Variant = {
          edit: byHash,
          async files(copy) {
            await addByHash(copy, 'stable')
            const listed = await must('ls', [join(copy, variantIndex, 'by-hash/SHA256')])
            hashes.push(...listed.trim().split('\n'))
          },
          serve: server =>
            answering(status, ...hashes.map(hash => `/${variantIndex}/by-hash/SHA256/${hash}`))(server),
        }
        const apt = await archive.aptFrom(variant)
        expect(apt.names, apt.output).toEqual(['app'])
        expect((await archive.lockFrom(variant)).names).toEqual(['app'])
      },
      60_000,
    )

    it('InRelease that is denied: Release and its signature are read, which apt does for 404 alone', async () => {
      const serve = answering(403, '/dists/stable/InRelease')
      expect((await archive.lockFrom({ serve })).names).toEqual(['app'])
      const all = answering(403, ...['InRelease', 'Release'].map(name => `/dists/stable/${name}`))
      const error = await errorOf(archive.lockFrom({ serve: all }))
      expect([error.code, error.item]).toEqual(['UNAUTHORIZED', expect.stringMatching(/\/InRelease$/)])
    })

    it.each([
      ['host', '127.0.0.1'],
      ['host', '127.*'],
      ['origin', '127.0.0.1'],
      ['host', 'elsewhere.example'],
    ])('a pin by %s: %s', async (key, value) => {
      const preferences = `Package: *\nPin: origin "${value}"\nPin-Priority: -1\n`
      const apt = await archive.aptFrom({}, { preferences })
      const locked = archive.lockFrom({
        request: { pins: [{ packages: ['*'], [key]: value, priority: -1 }] },
      })
      if (value === 'elsewhere.example') {
        expect(apt.names).toEqual(['app'])
        expect((await locked).notes).toEqual([
          'test: pins[0] (packages: *, host: elsewhere.example) has no effect: no source fits it',
        ])
      } else {
        expect([apt.names, (await errorOf(locked)).code]).toEqual([undefined, 'UNRESOLVABLE'])
      }
    })

    it.each([
      [{ packages: ['nothing'], version: '1*' }, 'no package fits it'],
      [{ packages: ['/^Nothing/'] }, 'no package fits it'],
      [{ packages: ['app'], version: '7*' }, 'no version fits it; available: app 1.0'],
      [{ packages: ['app'], origin: 'Nobody' }, 'no source fits it'],
      [{ packages: ['*'], version: '1' }, 'apt_preferences(5): a pin by version names packages; * is none'],
    ])('a pin that fits nothing is reported: %j', async (pin, why) => {
      const { names, notes } = await archive.lockFrom({ request: { pins: [{ ...pin, priority: 900 }] } })
      expect(names).toEqual(['app'])
      expect(notes.map(note => note.slice(note.indexOf('effect: ') + 8))).toEqual([why])
    })

    it('a pin that fits is not reported', async () => {
      const pins = [
        { packages: ['app', 'absent'], version: '1.*', priority: 900 },
        { packages: ['*'], suite: 'stable', priority: 500 },
      ]
      expect((await archive.lockFrom({ request: { pins } })).notes).toEqual([])
    })

    it('records what the suite lacks', async () => {
      const request = { components: ['main', 'contrib'], architectures: ['amd64', 'arm64'] }
      const error = await errorOf(archive.lockFrom({ request }))
      expect(error.message).toBe(
        'no suite has packages for arm64: the suite has nothing for arm64, only for amd64',
      )
      const { locked } = await archive.lockFrom({ request: { components: ['main', 'contrib'] } })
      expect(locked.leftOut).toEqual([
        {
          name: expect.stringMatching(/\/dists\/stable\/contrib\/binary-amd64\/Packages$/),
          reason: 'the suite has no component contrib, only main',
        },
      ])
    })

    it('an index that is empty, and not on the server', async () => {
      const files = async (copy: string) => {
        const path = join(copy, 'dists/stable/extra/binary-amd64')
        await mkdir(path, { recursive: true })
        await writeFile(join(path, 'Packages'), '')
      }
      const variant: Variant = {
        files,
        request: { components: ['main', 'extra'] },
        serve: server => server.overrides.set('/dists/stable/extra/binary-amd64/Packages', 'missing'),
      }
      const apt = await archive.aptFrom(variant)
      expect(apt.names, apt.output).toEqual(['app'])
      const { locked } = await archive.lockFrom(variant)
      expect(locked.leftOut).toBeUndefined()
    })

    it('keeps a Latin-1 description as text', async () => {
      const { locked } = await archive.lockFrom({ files: latin1 })
      expect(locked.packages[0]!.stanza).toContain('Description: caf\u00e9 package app')
    })

    it('names the only compression that there is', async () => {
      const files = async (copy: string) => {
        await packed('lzma')(copy)
        await rm(join(copy, variantIndex, 'Packages'))
      }
      const error = await errorOf(archive.lockFrom({ files }))
      expect([error.code, error.message]).toEqual([
        'UNSUPPORTED',
        'the package index is available only as Packages.lzma',
      ])
      const listed = await errorOf(
        archive.lockFrom({ files: packed('lzma', 'xz'), serve: only('Packages.lzma') }),
      )
      expect([listed.code, listed.likely]).toEqual(['UNSUPPORTED', expect.stringContaining('.xz')])
    })
  },
)

describe('dates of Release files, as apt reads them', () => {
  it.each([
    ['Sun, 06 Nov 1994 08:49:37 GMT', 784_111_777],
    ['sun, 6 nov 1994 8:49:37 UTC', 784_111_777],
    ['Sun, 06 Nov 1994 08:49:37 +0000', 784_111_777],
    ['Sun, 06 Nov 1994 08:49:37 -0000', 784_111_777],
    ['Sun, 06 Nov 1994 08:49:37 Z', 784_111_777],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 784_111_777],
    ['Sun Nov  6 08:49:37 1994', 784_111_777],
    ['Sun, 06 Nov 1994 08:49:37', undefined],
    ['Sun, 06 Nov 1994 08:49:37 +0100', undefined],
    ['Sun, 06 Nov 1994 08:49:37 EST', undefined],
    ['06 Nov 1994 08:49:37 GMT', undefined],
    ['So, 06 Nov 1994 08:49:37 GMT', undefined],
    ['Sun, 31 Feb 1994 08:49:37 GMT', undefined],
    ['1994-11-06T08:49:37Z', undefined],
    ['', undefined],
  ])('%s', (text, seconds) => {
    expect(parseReleaseDate(text)?.getTime()).toBe(seconds === undefined ? undefined : seconds * 1000)
  })
})
