import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { defined } from '../../src/core/defined.ts'
import { readChartArchive } from '../../src/kinds/chart/archive.ts'
import { chartKind } from '../../src/kinds/chart/index.ts'
import {
  chartTgz,
  type Entry,
  indexYaml,
  provenanceFor,
  sha256Of,
  tarOf,
  tgzOf,
} from '../kinds/chart/support.ts'
import { expectCleanCache, refused, serve, testContext } from '../kinds/support/context.ts'
import type { Handler } from '../remote/support/upstream.ts'

const archive = chartTgz()
const sha256 = sha256Of(archive)
const request = (repo: string, more: { sha256?: string } = {}) => ({
  at: 'stack.yaml:5:5',
  name: 'web',
  repo,
  version: '1.2.3',
  ...more,
})
const resolveFrom = async (index: string, others: Record<string, Buffer | string> = {}, more = {}) => {
  const upstream = await serve({ '/index.yaml': index, '/web.tgz': archive, ...others })
  const context = await testContext()
  try {
    return await chartKind.resolve(request(upstream.origin, more), context)
  } finally {
    await expectCleanCache(context)
  }
}
const listing = (digest?: string) =>
  indexYaml({ web: [{ version: '1.2.3', url: 'web.tgz', ...defined({ digest }) }] })

const read = (bytes: Buffer, version = '1.2.3') =>
  readChartArchive(Readable.from([bytes]), { name: 'web', version, item: 'https://x.example/web.tgz' })

describe('charts from an upstream that misbehaves', () => {
  it('fault 54: the index has another digest', async () => {
    const error = await refused(resolveFrom(listing('cd'.repeat(32))), 'DIGEST_MISMATCH')
    expect(error.exitCode).toBe(6)
    expect(error.message).toContain('index of http://')
    expect(error.item).toContain('stack.yaml:5:5')
  })

  it('fault 54: the manifest requires another digest than the repository has', async () => {
    const error = await refused(
      resolveFrom(listing(sha256), {}, { sha256: 'cd'.repeat(32) }),
      'DIGEST_MISMATCH',
    )
    expect(error.message).toContain('but the manifest has sha256:')
  })

  it('fault 54: an invalid digest', async () => {
    await refused(resolveFrom(listing('d41d8cd98f00b204e9800998ecf8427e')), 'UPSTREAM_INVALID')
  })

  const attacks: [string, Entry, RegExp][] = [
    ['..', { path: 'web/../../etc/passwd', text: 'x' }, /unsafe path/],
    ['a leading ..', { path: '../web/x', text: 'x' }, /unsafe path/],
    ['an absolute path', { path: '/etc/passwd', text: 'x' }, /unsafe path/],
    ['a backslash', { path: 'web\\..\\x', text: 'x' }, /unsafe path/],
    ['a newline', { path: 'web/a\nb', text: 'x' }, /unsafe path/],
    ['a symbolic link', { path: 'web/l', type: 'SymbolicLink', linkpath: '/etc/passwd' }, /SymbolicLink/],
    [
      'a harmless symbolic link',
      { path: 'web/l', type: 'SymbolicLink', linkpath: 'values.yaml' },
      /SymbolicLink/,
    ],
    ['a hard link', { path: 'web/l', type: 'Link', linkpath: '/etc/passwd' }, /Link/],
    ['a character device', { path: 'web/d', type: 'CharacterDevice' }, /CharacterDevice/],
    ['a block device', { path: 'web/d', type: 'BlockDevice' }, /BlockDevice/],
    ['a pipe', { path: 'web/p', type: 'FIFO' }, /FIFO/],
    [
      'a type that parsers treat differently',
      { path: 'web/t', type: 'TapeVolumeHeader' },
      /TapeVolumeHeader/,
    ],
    ['Chart.yaml twice', { path: 'web/Chart.yaml', text: 'name: evil\nversion: 1.2.3\n' }, /twice/],
    ['Chart.yaml in two folders', { path: 'evil/Chart.yaml', text: 'name: evil\nversion: 1.2.3\n' }, /twice/],
    ['a file outside the folder', { path: 'x', text: 'x' }, /outside/],
    [
      'a path in a PAX header',
      { path: 'PaxHeader/x', type: 'ExtendedHeader', text: '19 path=../../evil\n' },
      /unsafe path/,
    ],
  ]
  it.each(attacks)('fault 55: an archive with %s', async (_, entry, what) => {
    const error = await refused(
      read(chartTgz({ entries: [entry, { path: 'web/after', text: 'x' }] })),
      'UPSTREAM_INVALID',
    )
    expect(error.message).toMatch(what)
  })

  it('fault 55: a decompression bomb', async () => {
    const zeros = Buffer.alloc(120 * 1024 * 1024)
    const bomb = chartTgz({ entries: [{ path: 'web/zeros', text: zeros }] })
    expect(bomb.length).toBeLessThan(1_000_000)
    expect((await refused(read(bomb), 'UPSTREAM_INVALID')).message).toContain('unpacks to more than')
  })

  it('fault 55: an archive with very many entries', async () => {
    const entries = Array.from({ length: 25_000 }, (_, i) => ({ path: `web/f${i}` }))
    expect((await refused(read(chartTgz({ entries })), 'UPSTREAM_INVALID')).message).toContain(
      'more than 20000',
    )
  })

  it('fault 55: an archive whose subcharts have very many entries together', async () => {
    const subchart = (name: string) =>
      chartTgz({ name, entries: Array.from({ length: 11_000 }, (_, i) => ({ path: `${name}/f${i}` })) })
    const entries = ['one', 'two'].map(name => ({ path: `web/charts/${name}.tgz`, text: subchart(name) }))
    const yaml = 'dependencies: [{name: one}, {name: two}]\n'
    const error = await refused(read(chartTgz({ yaml, entries })), 'UPSTREAM_INVALID')
    expect(error.message).toContain('more than 20000')
    expect(
      (await read(chartTgz({ yaml: 'dependencies: [{name: one}]\n', entries: [entries[0]!] }))).name,
    ).toBe('web')
  })

  it('fault 55: an archive compressed twice', async () => {
    expect((await refused(read(gzipSync(archive)), 'UPSTREAM_INVALID')).message).toContain('compressed twice')
  })

  it('fault 55: every archive that is cut short, and a header with a wrong checksum', async () => {
    const tar = tarOf([
      { path: 'web/Chart.yaml', text: 'name: web\nversion: 1.2.3\n' },
      { path: 'web/a', text: 'x'.repeat(700) },
    ])
    // every reader takes an archive that ends after an entry for complete; gzip's checksum shows whether it was cut
    for (let size = 0; size < tar.length - 1024; size += 256)
      if (size !== 1024) await refused(read(gzipSync(tar.subarray(0, size))), 'UPSTREAM_INVALID')
    const broken = Buffer.from(tar)
    broken[1024]! ^= 1
    await refused(read(gzipSync(broken)), 'UPSTREAM_INVALID')
  })

  it('fault 56: provenance of another archive', async () => {
    const prov = { '/web.tgz.prov': provenanceFor('web-1.2.3.tgz', 'cd'.repeat(32)) }
    const error = await refused(resolveFrom(listing(sha256), prov), 'SIGNATURE_INVALID')
    expect(error.exitCode).toBe(6)
    const empty = { '/web.tgz.prov': '-----BEGIN PGP SIGNED MESSAGE-----\n' }
    await refused(resolveFrom(listing(sha256), empty), 'SIGNATURE_INVALID')
  })

  it('fault 57: another chart, or another version, than requested', async () => {
    const named = chartTgz({ name: 'evil' })
    const error = await refused(
      resolveFrom(listing(sha256Of(named)), { '/web.tgz': named }),
      'UPSTREAM_INVALID',
    )
    expect(error.message).toContain('it holds evil 1.2.3, not web 1.2.3')
    await refused(read(chartTgz({ version: '1.2.4' })), 'UPSTREAM_INVALID')
  })

  it.each<[string, string, Entry[]]>([
    ['missing', 'dependencies: [{name: redis, version: 1.x}]\n', []],
    [
      'missing, although a condition disables it',
      'dependencies: [{name: redis, version: 1.x, condition: redis.enabled}]\n',
      [],
    ],
    [
      'missing, beside another with a similar name',
      'dependencies: [{name: redis, version: 1.x}]\n',
      [{ path: 'web/charts/redis-cluster-1.0.0.tgz', text: chartTgz({ name: 'redis-cluster' }) }],
    ],
  ])('fault 58: a subchart that is %s', async (_, yaml, entries) => {
    const error = await refused(read(chartTgz({ yaml, entries })), 'UPSTREAM_INVALID')
    expect(error.message).toContain('subcharts redis')
  })

  it('fault 58: a subchart of requirements.yaml', async () => {
    const chart = { path: 'web/Chart.yaml', text: 'apiVersion: v1\nname: web\nversion: 1.2.3\n' }
    const requirements = {
      path: 'web/requirements.yaml',
      text: 'dependencies: [{name: redis, version: 1.x}]\n',
    }
    await refused(read(tgzOf([chart, requirements])), 'UPSTREAM_INVALID')
    const inside = { path: 'web/charts/redis-1.0.0.tgz', text: chartTgz({ name: 'redis' }) }
    expect((await read(tgzOf([chart, requirements, inside]))).name).toBe('web')
  })

  it('fault 58: subcharts that are damaged, that nest a bomb, or that only their file name names', async () => {
    const yaml = 'dependencies: [{name: redis, version: 1.x}]\n'
    const inside = (text: Buffer | string) =>
      read(chartTgz({ yaml, entries: [{ path: 'web/charts/redis-1.0.0.tgz', text }] }))
    await refused(inside('x'), 'UPSTREAM_INVALID')
    await refused(inside(chartTgz({ name: 'redis' }).subarray(0, -20)), 'UPSTREAM_INVALID')
    await refused(inside(chartTgz({ name: 'valkey' })), 'UPSTREAM_INVALID')
    const zeros = { path: 'redis/zeros', text: Buffer.alloc(60 * 1024 * 1024) }
    const half = chartTgz({ name: 'redis', entries: [zeros] })
    const two = ['a', 'b'].map(name => ({ path: `web/charts/${name}.tgz`, text: half }))
    const error = await refused(read(chartTgz({ yaml, entries: two })), 'UPSTREAM_INVALID')
    expect(error.message).toContain('unpacks to more than')
  })

  it('fault 59: values of 20 MB are accepted, a Chart.yaml of 2 MB is not', async () => {
    const values = { path: 'web/values.schema.json', text: Buffer.alloc(20_000_000, 'a: b\n') }
    expect((await read(chartTgz({ entries: [values] }))).name).toBe('web')
    const error = await refused(
      read(chartTgz({ yaml: `description: ${'x'.repeat(2_000_000)}\n` })),
      'UPSTREAM_INVALID',
    )
    expect(error.message).toContain('larger than 1 MiB')
  })

  const explosion = `x0: &x0 [lol]\n${Array.from({ length: 9 }, (_, i) => `x${i + 1}: &x${i + 1} [${Array(9).fill(`*x${i}`).join(', ')}]\n`).join('')}`
  it('fault 59: exponential aliases, duplicate keys and tags in Chart.yaml', async () => {
    await refused(read(chartTgz({ yaml: explosion })), 'UPSTREAM_INVALID')
    await refused(read(chartTgz({ yaml: 'name: evil\n' })), 'UPSTREAM_INVALID')
    const tagged = await read(
      chartTgz({ yaml: 'description: !!js/function "function(){ process.exit() }"\n' }),
    )
    expect(tagged.description).toBe('function(){ process.exit() }')
    await refused(read(chartTgz({ yaml: `keywords: ${'['.repeat(20_000)}\n` })), 'UPSTREAM_INVALID')
    const many = (line: (i: number) => string) => Array.from({ length: 15_000 }, (_, i) => line(i)).join('')
    const started = performance.now()
    const keys = many(i => `k${i}: x\n`)
    expect((await read(chartTgz({ yaml: `${keys}home: a\nhome: b\n` }))).home).toBe('b')
    await refused(
      read(chartTgz({ yaml: `keywords:\n${many(i => `- &a${i} b\n- *a${i}\n`)}` })),
      'UPSTREAM_INVALID',
    )
    expect(performance.now() - started).toBeLessThan(8_000)
    const proto = await read(chartTgz({ yaml: 'annotations: {__proto__: evil, a: b}\n' }))
    expect(Reflect.get({}, 'evil')).toBeUndefined()
    expect(proto.annotations?.['a']).toBe('b')
  })

  it.each([
    ['exponential aliases', `${explosion}entries: {web: *x9}\n`],
    [
      'exponential aliases in the block',
      `entries:\n  web:\n  - version: 1.2.3\n${explosion.replace(/^/gm, '    ')}\n`,
    ],
    [
      'the chart twice',
      `${listing(sha256)}`.replace(
        'generated',
        '  web:\n  - version: 1.2.3\n    urls: [evil.tgz]\ngenerated',
      ),
    ],
    [
      'two digests for the version',
      listing(sha256).replace(
        'generated',
        `  - version: 1.2.3\n    urls: [evil.tgz]\n    digest: ${'cd'.repeat(32)}\ngenerated`,
      ),
    ],
    ['an alias of a missing anchor', 'entries: {web: *web}\n'],
    [
      'a very large number of aliases',
      `entries: {web: [${Array.from({ length: 5_000 }, (_, i) => `&a${i} x, *a${i}`).join(', ')}]}\n`,
    ],
    ['entries twice, in another form', 'entries: {web: []}\nentries: {}\n'],
    ['an archive by file:', listing().replace('web.tgz', 'file:///etc/passwd')],
    ['an archive by data:', listing().replace('- web.tgz', '- "data:,x"')],
    ['an archive by a URL with a password', listing().replace('- web.tgz', '- http://a:b@127.0.0.1/web.tgz')],
    ['invalid text', 'entries: [[['],
    ['JSON that is cut short', '{"entries": {"web": ['],
  ])('fault 59: an index with %s', async (_, index) => {
    await refused(resolveFrom(index), 'UPSTREAM_INVALID')
  })

  it('fault 59: an index of 70 MB', async () => {
    const large = Buffer.alloc(70 * 1024 * 1024, 'a')
    expect((await refused(resolveFrom(large.toString()), 'UNSUPPORTED')).message).toContain('larger than')
  })

  it('fault 25: the page of a captive portal is refused as index and as chart', async () => {
    const page: Handler = (_, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>log in</body></html>')
    const upstream = await serve({
      '/index.yaml': page,
      '/other/index.yaml': listing(),
      '/other/web.tgz': page,
    })
    const context = await testContext()
    await refused(chartKind.resolve(request(upstream.origin), context), 'UPSTREAM_INVALID')
    await refused(chartKind.resolve(request(`${upstream.origin}/other`), context), 'UPSTREAM_INVALID')
  })
})
