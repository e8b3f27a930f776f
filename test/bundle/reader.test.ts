import { open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type BundleStore, openBundle } from '../../src/bundle/reader.ts'
import { collect, readAll } from '../../src/content/read.ts'
import { readTree } from '../../src/content/tree.ts'
import { digestOf } from '../../src/core/digest.ts'
import { annotationKeys } from '../../src/core/media-types.ts'
import { parseReference } from '../../src/core/reference.ts'
import {
  describeBytes,
  noise,
  sampleInfo,
  smallSample,
  tempFolder,
  treeSample,
  writeBundle,
} from './samples.ts'

async function opened(sample = smallSample()): Promise<{ store: BundleStore; path: string }> {
  const path = join(await tempFolder(), 'sample.tar')
  await writeBundle(path, sample)
  const store = await openBundle(path)
  onTestFinished(() => store.close())
  return { store, path }
}

describe('openBundle', () => {
  it('reports name, version and digest', async () => {
    const { store, path } = await opened()
    expect(store.info).toEqual({ ...sampleInfo, format: 1, annotations: {} })
    expect(store.size).toBe((await readFile(path)).length)
    expect(
      store
        .roots()
        .map(root => [root.annotations?.[annotationKeys.kind], root.annotations?.[annotationKeys.refName]]),
    ).toEqual([
      ['image', 'docker.io/library/multi:2'],
      ['image', 'registry.example/app:1'],
      ['runtime', 'offline-deploy'],
      ['tree', 'lock'],
    ])
  })

  it('reads every blob, also the one that is linked to a named file', async () => {
    const sample = smallSample()
    const { store } = await opened(sample)
    for (const bytes of sample.contents.values()) {
      expect(digestOf(await readAll(store, describeBytes(bytes)))).toBe(digestOf(bytes))
    }
  })

  it('reads trees back, empty files included', async () => {
    const { store } = await opened()
    const roots = store.roots().filter(root => root.annotations?.[annotationKeys.refName] === 'lock')
    const tree = await readTree(store, roots)
    expect([...tree.keys()]).toEqual(['empty', 'lock.json'])
    expect((await readAll(store, tree.get('lock.json')!.descriptor)).toString()).toBe('{}\n')
    expect((await readAll(store, tree.get('empty')!.descriptor)).length).toBe(0)
  })

  it('resolves by name, and by digest within the repository', async () => {
    const { store } = await opened()
    const app = await store.resolve(parseReference('registry.example/app:1'))
    expect(await store.resolve(parseReference(`registry.example/app@${app.digest}`))).toEqual(app)
    await expect(store.resolve(parseReference(`registry.example/other@${app.digest}`))).rejects.toMatchObject(
      { code: 'NOT_FOUND' },
    )
  })

  it('refuses ranges outside the content', async () => {
    const bytes = noise(100, 1)
    const { store } = await opened(treeSample('f', { a: bytes }))
    for (const range of [
      { start: 0, end: 101 },
      { start: 5, end: 4 },
      { start: -1, end: 4 },
    ]) {
      await expect(store.open(describeBytes(bytes), range)).rejects.toMatchObject({
        code: 'RANGE_NOT_SATISFIABLE',
      })
    }
    expect(await collect(await store.open(describeBytes(bytes), { start: 100, end: 100 }), 1)).toHaveLength(0)
  })

  it('withholds the last chunk of wrong content', async () => {
    const bytes = noise(3 << 20, 7)
    const { store, path } = await opened(treeSample('f', { a: bytes }))
    const file = await open(path, 'r+')
    await file.write(
      Buffer.from([bytes[10]! ^ 1]),
      0,
      1,
      store.entries().find(e => e.digest === digestOf(bytes))!.dataOffset + 10,
    )
    await file.close()
    let received = 0
    const body = await store.open(describeBytes(bytes))
    const reading = (async () => {
      for await (const chunk of body as AsyncIterable<Buffer>) received += chunk.length
    })()
    await expect(reading).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', exitCode: 6 })
    expect(received).toBeLessThan(bytes.length)
  })

  it('fault 71: a file that shrinks while it is read ends with an error, never with short data', async () => {
    const bytes = noise(3 << 20, 8)
    const { store, path } = await opened(treeSample('f', { a: bytes }))
    const body = await store.open(describeBytes(bytes), { start: 0, end: bytes.length })
    await truncate(path, 2 << 20)
    await expect(collect(body, 4 << 20)).rejects.toMatchObject({ code: 'IO' })
  })

  it('fault 71: a file that is deleted while it is open can still be read', async () => {
    const bytes = noise(2 << 20, 9)
    const { store, path } = await opened(treeSample('f', { a: bytes }))
    await rm(path)
    expect((await readAll(store, describeBytes(bytes))).equals(bytes)).toBe(true)
  })

  it('stops reading when the reader is destroyed', async () => {
    const bytes = noise(3 << 20, 10)
    const { store } = await opened(treeSample('f', { a: bytes }))
    const body = await store.open(describeBytes(bytes))
    for await (const chunk of body) {
      expect((chunk as Buffer).length).toBeGreaterThan(0)
      break
    }
    expect(body.destroyed).toBe(true)
  })

  it.each([
    ['an empty file', Buffer.alloc(0), 'BUNDLE_CORRUPT'],
    ['a few bytes of text', Buffer.from('hello'), 'BUNDLE_UNREADABLE'],
    ['other bytes', noise(4096, 3), 'BUNDLE_UNREADABLE'],
    ['gzip', Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0]), noise(2000, 1)]), 'BUNDLE_UNREADABLE'],
    ['zeros', Buffer.alloc(10240), 'BUNDLE_UNREADABLE'],
  ])('says what %s is not', async (_what, bytes, code) => {
    const path = join(await tempFolder(), 'x.tar')
    await writeFile(path, bytes)
    await expect(openBundle(path)).rejects.toMatchObject({ code, next: expect.any(String) })
  })

  it('reports a missing file and a folder', async () => {
    const folder = await tempFolder()
    await expect(openBundle(join(folder, 'no.tar'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
    await expect(openBundle(folder)).rejects.toMatchObject({ code: 'BUNDLE_UNREADABLE' })
  })
})
