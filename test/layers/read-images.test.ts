import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { silentProgress } from '../../src/core/progress.ts'
import { readImages } from '../../src/layers/read-images.ts'
import { contentOf, dpkgStatus, namesIn, statusPath, storeOf, tarOf } from './support.ts'

const status = (...names: string[]) => ({ path: statusPath, text: dpkgStatus(...names) })

describe('layers', () => {
  it('are read as tar, gzip, zstd, and as several members of them, whatever their media type', async () => {
    const tar = tarOf([status('bash')])
    const [start, end] = [tar.subarray(0, 700), tar.subarray(700)]
    for (const layer of [
      tar,
      gzipSync(tar),
      zstdCompressSync(tar),
      Buffer.concat([gzipSync(start), gzipSync(end)]),
      Buffer.concat([zstdCompressSync(start), zstdCompressSync(end)]),
    ])
      expect(namesIn(await contentOf(layer))).toEqual(['bash 1.0-1'])
  })

  it('replace what lower ones have', async () => {
    const content = await contentOf([status('bash', 'perl')], [status('bash')])
    expect(namesIn(content)).toEqual(['bash 1.0-1'])
    expect(content.notRead).toEqual([])
  })

  it('remove a file by a whiteout, and a folder with all that is in it', async () => {
    const lower = [
      status('bash'),
      { path: 'app/node_modules/a/package.json', text: '{"name":"a","version":"1"}' },
    ]
    expect(namesIn(await contentOf(lower, [{ path: 'var/lib/dpkg/.wh.status' }]))).toEqual(['a 1'])
    expect(namesIn(await contentOf(lower, [{ path: 'var/lib/.wh.dpkg' }]))).toEqual(['a 1'])
    expect(namesIn(await contentOf(lower, [{ path: 'app/.wh.node_modules' }]))).toEqual(['bash 1.0-1'])
    expect(namesIn(await contentOf(lower, [{ path: '.wh.var' }, { path: '.wh.app' }]))).toEqual([])
  })

  it('hide a folder of lower layers, and nothing of their own, in any order of entries', async () => {
    const lower = [
      { path: 'app/node_modules/a/package.json', text: '{"name":"a","version":"1"}' },
      { path: 'app/node_modules/b/package.json', text: '{"name":"b","version":"1"}' },
    ]
    const own = { path: 'app/node_modules/c/package.json', text: '{"name":"c","version":"1"}' }
    const opaque = { path: 'app/node_modules/.wh..wh..opq' }
    expect(namesIn(await contentOf(lower, [opaque, own]))).toEqual(['c 1'])
    expect(namesIn(await contentOf(lower, [own, opaque]))).toEqual(['c 1'])
    expect(namesIn(await contentOf(lower, [own, { path: 'app/.wh..wh..opq' }]))).toEqual(['c 1'])
    const again = { path: 'app/node_modules/a/package.json', text: '{"name":"a","version":"2"}' }
    expect(namesIn(await contentOf(lower, [again, { path: 'app/node_modules/.wh.a' }]))).toEqual([
      'a 2',
      'b 1',
    ])
  })

  it('follow links of lower layers, inside the root', async () => {
    const links = [
      { path: 'usr', type: 'Directory' as const },
      { path: 'var', type: 'SymbolicLink' as const, linkpath: '/data/../data/var' },
      { path: 'alias', type: 'SymbolicLink' as const, linkpath: '../../../..' },
    ]
    const files = [{ path: './data/var/lib/dpkg/status', text: dpkgStatus('no') }]
    // the file is at data/var/…: dpkg finds it by the link, which is reported where the database itself is none
    expect(namesIn(await contentOf(links, files))).toEqual([])
    const through = [{ path: 'alias/usr/lib/apk/db/installed', text: 'P:musl\nV:1.2.4-r2\n\n' }]
    expect(namesIn(await contentOf(links, through))).toEqual(['musl 1.2.4-r2'])
  })

  it('replace a folder by a file or a link, and a link by a folder', async () => {
    const lower = [status('bash')]
    expect(namesIn(await contentOf(lower, [{ path: 'var/lib' }]))).toEqual([])
    expect(
      namesIn(await contentOf(lower, [{ path: 'var', type: 'SymbolicLink', linkpath: 'elsewhere' }])),
    ).toEqual([])
    const linked = [{ path: 'var', type: 'SymbolicLink' as const, linkpath: 'usr' }]
    expect(namesIn(await contentOf(linked, [{ path: 'var/', type: 'Directory' }, status('bash')]))).toEqual([
      'bash 1.0-1',
    ])
  })

  it('have hard links to files that are read, and report one to a file that is not', async () => {
    const original = { path: 'a/node_modules/a/package.json', text: '{"name":"a","version":"1"}' }
    const link = (target: string) => ({
      path: 'b/node_modules/a/package.json',
      type: 'Link' as const,
      linkpath: target,
    })
    const { packages } = await contentOf([original, link(original.path)])
    expect(packages.map(({ path }) => path)).toEqual([original.path, 'b/node_modules/a/package.json'])
    expect((await contentOf([link('elsewhere')])).notRead).toEqual([
      { path: 'b/node_modules/a/package.json', reason: 'it is a hard link to a file that is not read' },
    ])
  })

  it('are read once where images share them from the bottom', async () => {
    const { store, layers } = await storeOf([
      tarOf([status('base')]),
      tarOf([{ path: 'a/node_modules/a/package.json', text: '{"name":"a","version":"1"}' }]),
      tarOf([{ path: 'b/node_modules/b/package.json', text: '{"name":"b","version":"1"}' }]),
    ])
    const [base, a, b] = layers as [(typeof layers)[0], (typeof layers)[0], (typeof layers)[0]]
    const image = (name: string, stack: typeof layers) => ({ name, digest: digestOf(name), layers: stack })
    const read: string[] = []
    const progress = { ...silentProgress, done: (item: string) => read.push(item) }
    const contents = await readImages(
      store,
      [image('one', [base, a]), image('two', [base, b]), image('three', [base]), image('four', [base, a, b])],
      { progress, signal: new AbortController().signal },
    )
    expect(contents.map(namesIn)).toEqual([
      ['base 1.0-1', 'a 1'],
      ['base 1.0-1', 'b 1'],
      ['base 1.0-1'],
      ['base 1.0-1', 'a 1', 'b 1'],
    ])
    expect(read.filter(digest => digest === base.digest)).toHaveLength(1)
    expect(read.filter(digest => digest === a.digest)).toHaveLength(1)
  })

  it('that are not carried are reported', async () => {
    const { store, layers } = await storeOf([tarOf([status('bash')])])
    const foreign = { ...layers[0]!, digest: digestOf('foreign') }
    const [content] = await readImages(
      store,
      [{ name: 'windows', digest: digestOf('w'), layers: [foreign, layers[0]!] }],
      { progress: silentProgress, signal: new AbortController().signal },
    )
    expect(content).toMatchObject({
      notRead: [{ layer: foreign.digest, reason: 'the bundle does not carry it' }],
    })
    expect(namesIn(content!)).toEqual(['bash 1.0-1'])
  })
})
