import { open, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openFileSource } from '../../src/bundle/byte-source.ts'
import { openBundle } from '../../src/bundle/reader.ts'
import { verifyBundle } from '../../src/bundle/verify.ts'
import { hashPool } from '../../src/content/hash-pool.ts'
import { readAll } from '../../src/content/read.ts'
import { inlineFile, treeArtifacts } from '../../src/content/tree.ts'
import { digestOf } from '../../src/core/digest.ts'
import { silentProgress } from '../../src/core/progress.ts'
import {
  combine,
  layoutOf,
  noise,
  sampleInfo,
  smallSample,
  tempFolder,
  treeSample,
  writeBundle,
} from './samples.ts'

const MiB = 1 << 20
const sample = smallSample()

async function flipBit(path: string, position: number): Promise<void> {
  await using file = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, position)
  byte[0]! ^= 1
  await file.write(byte, 0, 1, position)
}

async function bundle(of = sample): Promise<string> {
  const path = join(await tempFolder(), 'sample.tar')
  await writeBundle(path, of)
  return path
}

describe('verifyBundle', () => {
  it('checks every byte of a good bundle', async () => {
    const path = await bundle()
    let bytes = 0
    const progress = { ...silentProgress, advance: (n: number) => void (bytes += n) }
    const { size, indexDigest } = layoutOf(sample)
    expect(await verifyBundle(path, { progress })).toEqual({
      path,
      name: sampleInfo.name,
      version: sampleInfo.version,
      indexDigest,
      size,
      artifacts: 4,
      blobs: 11,
      notCarried: 1,
    })
    expect(bytes).toBe(size)
  })

  it('reads the open file, which stays open: what is read from it afterwards is what was verified', async () => {
    const path = await bundle(treeSample('f', { a: noise(100, 1) }))
    const source = await openFileSource(path)
    const store = await openBundle(source)
    onTestFinished(() => store.close())
    expect((await verifyBundle(source)).indexDigest).toBe(store.indexDigest)
    const [root] = store.roots()
    expect((await readAll(store, root!)).length).toBe(root!.size)
    await writeFile(path, await readFile(path))
    await expect(verifyBundle(source)).rejects.toMatchObject({ code: 'BUNDLE_CORRUPT' })
  })

  it('reads content that is larger than its buffers', async () => {
    const large = treeSample('f', { a: noise((5 << 20) + 3, 1), b: noise(2 << 20, 2), c: noise(1, 3) })
    await expect(verifyBundle(await bundle(large))).resolves.toMatchObject({ artifacts: 1 })
  })

  it('finds a flipped bit in each region of a bundle that threads read, and names its entry', async () => {
    const small = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, noise(600 + i, i + 1)]))
    const large = treeSample('files', { ...small, a: noise(9 * MiB + 5, 91), b: noise(4 * MiB - 1, 92) })
    const path = await bundle(large)
    const { entries, size, indexDigest } = layoutOf(large)
    const counts: number[] = []
    const progress = { ...silentProgress, advance: (n: number) => void counts.push(n) }
    expect(await verifyBundle(path, { progress })).toMatchObject({ size, indexDigest })
    expect(counts.reduce((sum, n) => sum + n)).toBe(size)
    const [tiny, big] = [620 - 1, 9 * MiB + 5].map(length => entries.find(entry => entry.size === length)!)
    const regions: [position: number, fault: string][] = [tiny!, big!].flatMap(entry => [
      [entry.headerOffset + 100, `${entry.path}: the tar header is damaged`],
      [entry.dataOffset, `${entry.path}: the content does not have its digest`],
      [entry.dataOffset + entry.size - 1, `${entry.path}: the content does not have its digest`],
      [entry.dataOffset + entry.size, `${entry.path}: the gap after it is not zero`],
    ])
    regions.push([size - 1, 'end of the tar: the tar does not end with zeros'])
    for (const [position, fault] of regions) {
      await flipBit(path, position)
      await expect(verifyBundle(path)).rejects.toMatchObject({
        code: 'BUNDLE_CORRUPT',
        message: `1 fault found: ${fault}`,
      })
      await flipBit(path, position)
    }
    for (const [position] of regions) await flipBit(path, position)
    const { cause } = await verifyBundle(path).catch(error => error)
    // two bits of one content are one fault
    const inOrder = regions.toSorted(([a], [b]) => a - b).map(([, fault]) => fault)
    expect(cause).toEqual([...new Set(inOrder)])
    await truncate(path, size - 1024)
    await expect(verifyBundle(path)).rejects.toMatchObject({ code: 'BUNDLE_CORRUPT' })
  })

  it('compares the expected digest', async () => {
    const path = await bundle()
    const { indexDigest } = layoutOf(sample)
    await expect(verifyBundle(path, { expect: indexDigest })).resolves.toMatchObject({ indexDigest })
    await expect(verifyBundle(path, { expect: digestOf('other') })).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
      exitCode: 6,
    })
  })

  it('counts a tree in shards once, and reports shards that do not make up a tree', async () => {
    const files = ['a', 'b', 'c'].map(name => inlineFile(name, Buffer.from(name)))
    const shards = treeArtifacts({ name: 'files', kind: 'file', files }, { files: 1, bytes: 4096 })
    const of = (artifacts: typeof shards) => bundle({ artifacts, contents: new Map() })
    expect(await verifyBundle(await of(shards))).toMatchObject({ artifacts: 1 })
    await expect(verifyBundle(await of(shards.slice(1)))).rejects.toMatchObject({
      code: 'BUNDLE_CORRUPT',
      message: expect.stringContaining('2 of its 3 shards'),
    })
    const twice = treeArtifacts({ name: 'other', kind: 'file', files: files.slice(0, 1) }).map(artifact => ({
      ...artifact,
      root: { ...artifact.root, annotations: { ...shards[1]!.root.annotations } },
    }))
    await expect(verifyBundle(await of([shards[0]!, ...twice, shards[2]!]))).rejects.toMatchObject({
      code: 'BUNDLE_CORRUPT',
      message: expect.stringContaining('a tree lists a path twice'),
    })
  })

  it('collects all damage into one error, with the first few and how many', async () => {
    const files = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`f${i}`, noise(600, i + 1)]))
    const many = treeSample('files', files)
    const path = await bundle(many)
    const bytes = await readFile(path)
    for (const entry of layoutOf(many).entries) if (entry.size === 600) bytes[entry.dataOffset]! ^= 1
    await writeFile(path, bytes)
    await expect(verifyBundle(path)).rejects.toMatchObject({
      code: 'BUNDLE_CORRUPT',
      exitCode: 6,
      message: expect.stringMatching(/^150 faults found: (blobs\S+: [^;]+; ){5}and 145 more$/),
    })
  })

  it('stops on its signal', async () => {
    const path = await bundle(combine(sample, treeSample('f', { a: noise(5 << 20, 1) })))
    await expect(verifyBundle(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    })
  })

  it('stops in the middle of a large content, and leaves the threads to others', async () => {
    const path = await bundle(treeSample('f', { a: noise(40 * MiB, 1) }))
    const pool = hashPool({ size: 1 })
    onTestFinished(() => pool.close())
    const stop = new AbortController()
    let bytes = 0
    const advance = (n: number) => {
      bytes += n
      if (bytes > 4 * MiB) stop.abort()
    }
    const progress = { ...silentProgress, advance }
    await expect(verifyBundle(path, { progress, signal: stop.signal, pool })).rejects.toMatchObject({
      name: 'AbortError',
    })
    expect(bytes).toBeLessThan(40 * MiB)
    await expect(verifyBundle(path, { pool })).resolves.toMatchObject({ artifacts: 1 })
  })

  it('reports a thread that was lost, instead of waiting for it', async () => {
    const path = await bundle(treeSample('f', { a: noise(40 * MiB, 1) }))
    const pool = hashPool({ size: 1 })
    const progress = { ...silentProgress, advance: () => void pool.close() }
    await expect(verifyBundle(path, { progress, pool })).rejects.toMatchObject({ code: 'INTERNAL' })
  })
})
