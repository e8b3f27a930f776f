import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { diffBundles } from '../../src/bundle/diff.ts'
import { type BundleStore, openBundle } from '../../src/bundle/reader.ts'
import { inlineFile, treeArtifacts } from '../../src/content/tree.ts'
import {
  combine,
  imageOf,
  imageSample,
  inlineTree,
  noise,
  type Sample,
  tempFolder,
  treeSample,
  writeBundle,
} from './samples.ts'

async function storeOf(sample: Sample): Promise<BundleStore> {
  const path = join(await tempFolder(), 'sample.tar')
  await writeBundle(path, sample)
  const store = await openBundle(path)
  onTestFinished(() => store.close())
  return store
}

const base = noise(5000, 1)
const before = combine(
  imageSample(imageOf('registry.example/app:1', [base, noise(700, 2)])),
  imageSample(imageOf('registry.example/gone:1', [noise(800, 3)])),
  treeSample('files', { same: noise(100, 4) }),
)
const after = combine(
  imageSample(imageOf('registry.example/app:1', [base, noise(900, 5)])),
  treeSample('files', { same: noise(100, 4) }),
  inlineTree('notes', { a: 'b' }),
)

describe('diffBundles', () => {
  it('reports what is added, removed and changed, with the bytes to carry', async () => {
    const diff = await diffBundles(await storeOf(before), await storeOf(after))
    expect(diff.changes.map(({ kind, name, change }) => [kind, name, change])).toEqual([
      ['image', 'registry.example/app:1', 'changed'],
      ['image', 'registry.example/gone:1', 'removed'],
      ['tree', 'notes', 'added'],
    ])
    const [app, gone] = diff.changes
    expect(app!.bytes).toBeGreaterThan(900)
    expect(app!.bytes).toBeLessThan(900 + 5000)
    expect(gone!.bytes).toBeGreaterThan(800)
    expect(diff.sharedBytes).toBeGreaterThan(5000)
    expect(diff.changes.reduce((sum, { change, bytes }) => sum + (change === 'removed' ? 0 : bytes), 0)).toBe(
      diff.addedBytes,
    )
  })

  it('compares a tree by its name, whatever the number of its shards', async () => {
    const tree = (files: Record<string, string>, perShard: number): Sample => ({
      artifacts: treeArtifacts(
        {
          name: 'files',
          kind: 'file',
          files: Object.entries(files).map(([path, text]) => inlineFile(path, Buffer.from(text))),
        },
        { files: perShard, bytes: 4096 },
      ),
      contents: new Map(),
    })
    const one = await storeOf(tree({ a: '1', b: '2', c: '3' }, 3))
    const two = await storeOf(tree({ a: '1', b: '2', c: '3' }, 2))
    const other = await storeOf(tree({ a: '1', b: '2', c: '4' }, 2))
    const changes = async (a: BundleStore, b: BundleStore) =>
      (await diffBundles(a, b)).changes.map(({ kind, name, change }) => [kind, name, change])
    expect(await changes(one, two)).toEqual([['file', 'files', 'changed']])
    expect(await changes(two, other)).toEqual([['file', 'files', 'changed']])
    expect(await changes(two, two)).toEqual([])
  })

  it('finds no difference between a bundle and itself', async () => {
    const store = await storeOf(before)
    const { sharedBytes, ...diff } = await diffBundles(store, store)
    expect(diff).toEqual({ changes: [], addedBytes: 0, removedBytes: 0 })
    expect(sharedBytes).toBeGreaterThan(5000)
  })
})
