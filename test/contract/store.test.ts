import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openBundle } from '../../src/bundle/reader.ts'
import { LayoutStore } from '../../src/content/layout-store.ts'
import { MemoryStore } from '../../src/content/memory-store.ts'
import { collect, readAll } from '../../src/content/read.ts'
import type { ContentStore, NamedStore, ReadableStore } from '../../src/content/store.ts'
import type { ByteRange, Descriptor } from '../../src/core/descriptor.ts'
import { mediaTypes } from '../../src/core/media-types.ts'
import { parseReference, type Reference } from '../../src/core/reference.ts'
import { mergedStore } from '../../src/site/content.ts'
import {
  allocatedBytes,
  describeBytes,
  imageOf,
  imageSample,
  noise,
  type Sample,
  tempFolder,
  writeBundle,
} from '../bundle/samples.ts'

/** The contract of stores, run against every implementation. */

const name = 'registry.example/app:1'
const layers = [noise(2_500_000, 21), noise(10, 22)]
const image = imageOf(name, layers)
const sample = imageSample(image)
const [layer, tiny] = image.blobs.slice(1).map(([descriptor]) => descriptor) as [Descriptor, Descriptor]
const absent = describeBytes(noise(10, 99))

async function fillStore(store: ContentStore): Promise<ContentStore> {
  for (const blob of sample.artifacts[0]!.blobs) {
    await store.push(blob.descriptor, Readable.from([sample.contents.get(blob.descriptor.digest)!]))
  }
  await store.tag(image.root, parseReference(name))
  return store
}

async function bundleOf(contents: Sample): Promise<ReadableStore & NamedStore> {
  const path = join(await tempFolder(), 'sample.tar')
  await writeBundle(path, contents)
  const store = await openBundle(path)
  onTestFinished(() => store.close())
  return store
}

const writable: [string, () => Promise<ContentStore>][] = [
  ['MemoryStore', async () => new MemoryStore()],
  ['LayoutStore', async () => LayoutStore.open(await tempFolder())],
]
const named: [string, () => Promise<ReadableStore & NamedStore>][] = [
  ...writable.map(([kind, make]): [string, () => Promise<ContentStore>] => [
    kind,
    async () => fillStore(await make()),
  ]),
  ['BundleStore', () => bundleOf(sample)],
]
const readable: [string, () => Promise<ReadableStore>][] = [
  ...named,
  [
    'a merged store',
    async () =>
      mergedStore([
        await bundleOf(imageSample(imageOf('registry.example/other:1', [noise(9, 1)]))),
        await bundleOf(sample),
      ]),
  ],
]

async function bytesOf(store: ReadableStore, descriptor: Descriptor, range?: ByteRange): Promise<Buffer> {
  return collect(await store.open(descriptor, range), 10_000_000)
}

async function namesOf(store: NamedStore): Promise<[Reference, Descriptor][]> {
  const names: [Reference, Descriptor][] = []
  for await (const entry of store.references()) names.push(entry)
  return names
}

describe.each(readable)('ReadableStore: %s', (_kind, make) => {
  it('reports what it has', async () => {
    const store = await make()
    expect(await store.exists(layer)).toBe(true)
    expect(await store.exists(absent)).toBe(false)
  })

  it('returns content whole', async () => {
    const store = await make()
    expect((await bytesOf(store, layer)).equals(layers[0]!)).toBe(true)
    expect((await readAll(store, tiny)).equals(layers[1]!)).toBe(true)
  })

  it('allocates little memory for little content', async () => {
    const store = await make()
    const read = async () => {
      for (let i = 0; i < 50; i++) await readAll(store, tiny)
    }
    expect(await allocatedBytes(read)).toBeLessThan(1 << 20)
  })

  it.each([
    [0, 1],
    [0, 2_500_000],
    [1_000_000, 2_200_001],
    [2_499_999, 2_500_000],
  ])('gives the bytes from %i to %i', async (start, end) => {
    const part = await bytesOf(await make(), layer, { start, end })
    expect(part.equals(layers[0]!.subarray(start, end))).toBe(true)
  })

  it.each([undefined, { start: 0, end: 2_500_000 }])(
    'returns chunks that belong to the reader (%o)',
    async range => {
      const store = await make()
      for await (const chunk of (await store.open(layer, range)) as AsyncIterable<Uint8Array>) {
        chunk.fill(0)
        const { buffer } = chunk
        if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.byteLength) buffer.transfer(0)
      }
      expect((await bytesOf(store, layer, range)).equals(layers[0]!)).toBe(true)
    },
  )

  it('says NOT_FOUND for content that it does not have', async () => {
    const store = await make()
    await expect(store.open(absent)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('fails if the size is not the requested one', async () => {
    const store = await make()
    const wrong = { ...layer, size: layer.size - 1 }
    await expect(bytesOf(store, wrong)).rejects.toThrow()
  })
})

describe.each(named)('NamedStore: %s', (_kind, make) => {
  it('says NOT_FOUND for a name that it does not have', async () => {
    const store = await make()
    await expect(store.resolve(parseReference('registry.example/app:2'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
  })

  it('resolves names, and lists them', async () => {
    const store = await make()
    const { digest, size } = image.root
    expect(await store.resolve(parseReference(name))).toMatchObject({
      digest,
      size,
      mediaType: mediaTypes.ociManifest,
    })
    expect(await namesOf(store)).toMatchObject([[parseReference(name), { digest, size }]])
  })
})

describe.each(writable)('ContentStore: %s', (_kind, make) => {
  it('accepts the same content twice', async () => {
    const store = await fillStore(await make())
    await store.push(layer, Readable.from([layers[0]!]))
    expect((await bytesOf(store, layer)).equals(layers[0]!)).toBe(true)
  })

  it.each([
    ['wrong', Buffer.alloc(10, 1), 'DIGEST_MISMATCH'],
    ['too short', layers[1]!.subarray(0, 9), 'SIZE_MISMATCH'],
    ['too long', Buffer.concat([layers[1]!, Buffer.alloc(1)]), 'SIZE_MISMATCH'],
  ])('never shows content that is %s', async (_what, bytes, code) => {
    const store = await make()
    await expect(store.push(tiny, Readable.from([bytes]))).rejects.toMatchObject({ code })
    expect(await store.exists(tiny)).toBe(false)
  })

  it('moves a name', async () => {
    const store = await fillStore(await make())
    await store.tag(tiny, parseReference(name))
    expect((await store.resolve(parseReference(name))).digest).toBe(tiny.digest)
    expect(await namesOf(store)).toHaveLength(1)
  })
})

describe('LayoutStore', () => {
  it('replaces a file of the right name and size with wrong bytes once it gets the right ones', async () => {
    const store = await LayoutStore.open(await tempFolder())
    await store.push(tiny, Readable.from([layers[1]!]))
    await writeFile(store.pathOf(tiny), Buffer.alloc(tiny.size))
    await store.push(tiny, Readable.from([layers[1]!]))
    expect((await readFile(store.pathOf(tiny))).equals(layers[1]!)).toBe(true)
  })
})
