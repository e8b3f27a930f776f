import { deflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { digestOf, hexOf } from '../../src/core/digest.ts'
import { wheelKind } from '../../src/kinds/wheel/index.ts'
import { parseProjectPage } from '../../src/kinds/wheel/index-page.ts'
import type { LockedWheels } from '../../src/kinds/wheel/locked.ts'
import { parseMarker } from '../../src/kinds/wheel/marker.ts'
import { parseMetadata } from '../../src/kinds/wheel/metadata.ts'
import { parseRequirement } from '../../src/kinds/wheel/requirement.ts'
import { resolveWheels } from '../../src/kinds/wheel/resolve.ts'
import { readFromZip } from '../../src/kinds/wheel/zip.ts'
import { refused, serve, testContext } from '../kinds/support/context.ts'
import {
  chosen,
  metadataOf,
  type ServedFile,
  startIndex,
  wheelFile,
  wheelRequest,
} from '../kinds/wheel/support/package-index.ts'
import { zipOf } from '../kinds/wheel/support/zip.ts'

const lock = async (files: readonly ServedFile[], packages: string[], apart = true) => {
  const upstream = await startIndex(files, { apart })
  return await resolveWheels(wheelRequest(upstream.origin, { packages }), await testContext())
}
const a = { name: 'a', version: '1' }

describe('a package index that misbehaves', () => {
  it('fault 52: a wheel whose metadata lists false dependencies', async () => {
    const file = { ...wheelFile({ ...a, requires: ['b'] }), metadata: metadataOf(a) }
    const error = await refused(lock([file], ['a']), 'UPSTREAM_INVALID')
    expect(error.message).toContain('the index has other metadata than the wheel itself')
    expect(error.item).toContain('a-1-py3-none-any.whl')
  })

  it.each([
    ['another project', metadataOf({ name: 'evil', version: '1' })],
    ['another version', metadataOf({ name: 'a', version: '2' })],
  ])('fault 52: a wheel that claims to be %s', async (_, inside) => {
    const file = wheelFile(a, inside)
    await refused(lock([{ ...file, metadata: inside }], ['a']), 'UPSTREAM_INVALID')
    await refused(lock([file], ['a'], false), 'UPSTREAM_INVALID')
  })

  it('fault 52: a separate metadata file with another hash than on the page', async () => {
    const file = wheelFile(a)
    const upstream = await serve({
      '/simple/a/': (_, response) =>
        response
          .writeHead(200, { 'content-type': 'text/html' })
          .end(
            `<a href="/${file.filename}#sha256=${hexOf(digestOf(file.bytes))}" data-core-metadata="sha256=${'0'.repeat(64)}">${file.filename}</a>`,
          ),
      [`/${file.filename}`]: file.bytes,
      [`/${file.filename}.metadata`]: metadataOf(a),
    })
    const request = wheelRequest(upstream.origin, { packages: ['a'] })
    const error = await refused(resolveWheels(request, await testContext()), 'DIGEST_MISMATCH')
    expect(error.exitCode).toBe(6)
  })

  it('fault 52: a wheel without a hash is fetched once, which the lock records', async () => {
    const { distributions } = await lock([{ ...wheelFile(a), sha256: '' }], ['a'])
    expect(distributions[0]).toMatchObject({ firstUse: true, sha256: hexOf(digestOf(wheelFile(a).bytes)) })
  })

  it('fault 52: all spellings of a name are one project', async () => {
    const upstream = await startIndex([wheelFile({ name: 'Foo._Bar', version: '1' })])
    expect(await chosen(upstream, { packages: ['FOO-bar', 'foo..bar', 'foo_bar'] })).toEqual(['foo-bar 1'])
  })

  it('fault 53: links that lead off-site', () => {
    const sha = '0'.repeat(64)
    const links = [
      'https://files.example.org/a-1-py3-none-any.whl',
      'file:///etc/a-2-py3-none-any.whl',
      'http://files.example.org/a-3-py3-none-any.whl',
      'https://user:secret@files.example.org/a-4-py3-none-any.whl',
      'https://127.0.0.1/a-5-py3-none-any.whl',
      'https://10.0.0.1/a-6-py3-none-any.whl',
      'https://[::1]/a-7-py3-none-any.whl',
      'https://169.254.169.254/a-8-py3-none-any.whl',
      'https://localhost/a-9-py3-none-any.whl',
      'javascript:a-10-py3-none-any.whl',
      'ftp://files.example.org/a-11-py3-none-any.whl',
      '../../packages/a-12-py3-none-any.whl',
      '//files.example.org/a-13-py3-none-any.whl',
    ]
    const anchors = links.map(link => `<a href="${link}#sha256=${sha}">${link.split('/').at(-1)}</a>`)
    const files = parseProjectPage(anchors.join('\n'), {
      url: 'https://index.example.org/simple/a/',
      mediaType: 'text/html',
    })
    expect(files.map(file => /a-(\d+)/.exec(file.filename)![1])).toEqual(['1', '12', '13'])
    const names = ['../a-1-py3-none-any.whl', '.a', 'a/b.whl', 'a\\b.whl', '', 'a\0.whl', 'a b.whl']
    const page = JSON.stringify({
      files: names.map(filename => ({ filename, url: 'https://x.example/f', hashes: { sha256: sha } })),
    })
    const listed = parseProjectPage(page, {
      url: 'https://x.example/simple/a/',
      mediaType: 'application/vnd.pypi.simple.v1+json',
    })
    expect(listed.flatMap(file => file.read() ?? [])).toEqual([])
  })

  it('two files of one name in two indexes', () => {
    const distribution = (sha256: string) => ({
      project: 'a',
      version: '1',
      filename: 'a-1-py3-none-any.whl',
      url: `https://${sha256[0]}.example/a-1-py3-none-any.whl`,
      size: 1,
      sha256,
      targets: ['cp311-manylinux_2_28_x86_64'],
    })
    const items: LockedWheels[] = ['1', '2'].map(digit => ({
      name: digit,
      distributions: [distribution(digit.repeat(64))],
    }))
    expect(() => wheelKind.assemble(items)).toThrow('two different files have the same name')
  })

  it('skips one broken version; reports it where there is no other', async () => {
    const good = wheelFile(a)
    const bad = wheelFile({ name: 'a', version: '2' }, 'Name: a\nVersion: 2\nRequires-Dist: b @@ ;;\n')
    const { distributions } = await lock([good, bad], ['a'], false)
    expect(distributions.map(one => one.version)).toEqual(['1'])
    await refused(lock([bad], ['a'], false), 'UPSTREAM_INVALID')
  })

  it('resolves projects that depend on each other in a circle', async () => {
    const upstream = await startIndex([
      wheelFile({ ...a, requires: ['b', 'a[x]'], extras: ['x'] }),
      wheelFile({ name: 'b', version: '1', requires: ['a'] }),
    ])
    expect(await chosen(upstream, { packages: ['a'] })).toEqual(['a 1', 'b 1'])
  })
})

describe('malicious pages and metadata', () => {
  it.each(['not json', '[]', '{"files": 1}', '[[[['.repeat(10_000)])(
    'JSON that is not of PEP 691: %.20s',
    text => {
      expect(() => parseProjectPage(text, { url: 'https://x/', mediaType: 'application/json' })).toThrow(
        'cannot be read',
      )
    },
  )

  it('keys with the names of object properties', () => {
    const text = `{"files": [{"filename": "a-1-py3-none-any.whl", "url": "https://x.example/a", "hashes": {"__proto__": "x", "constructor": "y"}}]}`
    const [file] = parseProjectPage(text, { url: 'https://x.example/', mediaType: 'application/json' })
    expect(file!.read()).toEqual({ filename: 'a-1-py3-none-any.whl', url: 'https://x.example/a', hashes: [] })
  })

  it.each([
    ['<a '.repeat(200_000)],
    [`<a ${'x '.repeat(200_000)}`],
    [`<a ${'x="'.repeat(200_000)}`],
    [`<a href="x">${'<'.repeat(400_000)}`],
    [`<a href="${'&#'.repeat(200_000)}">x</a>`],
    [`<a href=${'  '.repeat(200_000)}>x</a>`],
  ])('HTML that makes a careless parser run for ever: %.12s', text => {
    const started = performance.now()
    parseProjectPage(text, { url: 'https://x/', mediaType: 'text/html' })
    expect(performance.now() - started).toBeLessThan(2000)
  })

  it('requirements and markers of any text are parsed or refused (property), quickly even for long ones', () => {
    const quietly = (read: () => unknown) => {
      try {
        read()
      } catch (error) {
        expect((error as { code?: string }).code).toBe('UPSTREAM_INVALID')
      }
    }
    fc.assert(fc.property(fc.string(), text => quietly(() => parseRequirement(text, { item: 'x' }))))
    fc.assert(fc.property(fc.string(), text => quietly(() => parseMarker(text, 'x'))))
    fc.assert(fc.property(fc.string(), text => quietly(() => parseMetadata(text, 'x'))))
    const started = performance.now()
    for (const text of [
      '('.repeat(100_000),
      `a;${'('.repeat(100_000)}`,
      `a${'.-'.repeat(100_000)}`,
      `a ${' '.repeat(100_000)}x`,
      `a ; ${'os_name == "x" and '.repeat(10_000)}`,
      `a${'[x'.repeat(50_000)}`,
      `a${' --'.repeat(50_000)}`,
      `a>=${'1.'.repeat(50_000)}`,
    ])
      quietly(() => parseRequirement(text, { item: 'x' }))
    expect(performance.now() - started).toBeLessThan(3000)
  })
})

describe('malicious archives', () => {
  const read = (bytes: Buffer) =>
    readFromZip(
      { size: bytes.length, read: async (start, end) => bytes.subarray(start, end) },
      { item: 'x', isWanted: name => name.endsWith('METADATA') },
    )
  const good = zipOf([
    ['a.py', ''],
    ['a-1.dist-info/METADATA', metadataOf(a)],
  ])

  it('a decompression bomb is not unpacked', async () => {
    await refused(read(zipOf([['x/METADATA', Buffer.alloc(64 << 20)]])), 'UPSTREAM_INVALID')
    // one that claims to be small
    const packed = deflateRawSync(Buffer.alloc(64 << 20))
    const bomb = Buffer.from(zipOf([['x/METADATA', 'small']]))
    const lying = Buffer.concat([bomb.subarray(0, 40), packed, bomb.subarray(bomb.indexOf('PK\x01\x02'))])
    const directory = lying.indexOf('PK\x01\x02')
    lying.writeUInt32LE(packed.length, directory + 20)
    lying.writeUInt32LE(directory, lying.length - 6)
    await refused(read(lying), 'UPSTREAM_INVALID')
  })

  it('two metadata files in one wheel are refused as ambiguous', async () => {
    const two = zipOf([
      ['a-1.dist-info/METADATA', metadataOf(a)],
      ['b-1.dist-info/METADATA', metadataOf({ name: 'b', version: '1' })],
    ])
    await refused(read(two), 'UPSTREAM_INVALID')
  })

  it('an archive cut short, or with a flipped bit, is refused or has the same content', async () => {
    for (let end = 0; end < good.length; end += 3)
      await refused(read(good.subarray(0, end)), 'UPSTREAM_INVALID')
    for (let bit = 0; bit < good.length * 8; bit += 5) {
      const changed = Buffer.from(good)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      await read(changed).catch((error: { code?: string }) => expect(error.code).toBe('UPSTREAM_INVALID'))
    }
  })

  it('fault 52: a wheel that is not an archive', async () => {
    const file = { ...wheelFile(a), bytes: Buffer.from('<html>captive portal</html>') }
    const error = await refused(lock([file], ['a'], false), 'UPSTREAM_INVALID')
    expect(error.message).toContain('not a zip archive')
  })
})
