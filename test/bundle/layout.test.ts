import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fixedBytes, planLayout } from '../../src/bundle/layout.ts'
import { openBundle } from '../../src/bundle/reader.ts'
import type { Artifact } from '../../src/content/artifact.ts'
import { treeArtifacts } from '../../src/content/tree.ts'
import { digestOf } from '../../src/core/digest.ts'
import { annotationKeys, mediaTypes } from '../../src/core/media-types.ts'
import {
  combine,
  describeBytes,
  imageOf,
  imageSample,
  inlineTree,
  layoutOf,
  memorySource,
  noise,
  sampleInfo,
  smallSample,
  treeSample,
} from './samples.ts'

const refused = (code: string) => expect.objectContaining({ code })

describe('planLayout', () => {
  it('puts entries in the order of the format', () => {
    const kinds = layoutOf(smallSample()).entries.map(entry =>
      entry.path.startsWith('blobs/') ? `${entry.type} ${entry.bytes ? 'inline' : 'blob'}` : entry.path,
    )
    expect(kinds.slice(0, 3)).toEqual(['oci-layout', 'index.json', 'airgap.json'])
    const named = kinds.indexOf('offline-deploy/run')
    expect(kinds[named + 1]).toBe('link blob')
    expect(kinds.slice(named + 2)).toEqual(['file blob', 'file blob', 'file blob'])
    expect(kinds.slice(3, named).every(kind => kind.startsWith('file'))).toBe(true)
  })

  it('leaves no gap and no overlap', () => {
    const layout = layoutOf(smallSample())
    let end = 0
    for (const entry of layout.entries) {
      expect(entry.headerOffset).toBe(end)
      end = entry.dataOffset + Math.ceil(entry.size / 512) * 512
    }
    expect(layout.size).toBe(end + 1024)
  })

  it('plans the same layout for the same artifacts in any order', () => {
    const { artifacts } = smallSample()
    const { layoutDigest, indexDigest } = planLayout(artifacts, sampleInfo)
    fc.assert(
      fc.property(fc.shuffledSubarray(artifacts, { minLength: artifacts.length }), shuffled => {
        const turned = shuffled.map(a => ({
          ...a,
          blobs: [...a.blobs].reverse(),
          inline: [...a.inline].reverse(),
        }))
        expect(planLayout(turned, sampleInfo)).toMatchObject({ layoutDigest, indexDigest })
      }),
      { numRuns: 30 },
    )
  })

  it('contains shared content once, and merges its sources', () => {
    const shared = noise(2000, 9)
    const a = imageSample(imageOf('registry.example/a:1', [shared]))
    const b = treeSample('files', { 'a.bin': shared, 'b.bin': shared })
    const layout = layoutOf(combine(a, b))
    const entries = layout.entries.filter(entry => entry.digest === digestOf(shared))
    expect(entries).toHaveLength(1)
    expect(entries[0]!.sources).toHaveLength(3)
    expect(entries[0]!.sources).toEqual(
      expect.arrayContaining([
        { type: 'registry', name: 'registry.example/sample', as: 'blob' },
        { type: 'path', path: 'a.bin' },
        { type: 'path', path: 'b.bin' },
      ]),
    )
  })

  it('changes its digest with every byte that is fixed', () => {
    const digest = layoutOf(smallSample()).layoutDigest
    expect(layoutOf(smallSample(), { ...sampleInfo, version: '1.0.1' }).layoutDigest).not.toBe(digest)
    expect(layoutOf(combine(smallSample(), inlineTree('more', { a: 'b' }))).layoutDigest).not.toBe(digest)
  })

  it('never fetches empty content', () => {
    const layout = layoutOf(treeSample('files', { empty: Buffer.alloc(0), full: noise(10, 1) }))
    expect(layout.entries.filter(entry => entry.digest && !entry.bytes).map(entry => entry.size)).toEqual([
      10,
    ])
  })

  it('refuses one digest with two sizes', () => {
    const [artifact] = treeSample('files', { a: noise(10, 1) }).artifacts as [Artifact]
    const wrong = { ...artifact.blobs[0]!, descriptor: { ...artifact.blobs[0]!.descriptor, size: 11 } }
    expect(() => planLayout([{ ...artifact, blobs: [...artifact.blobs, wrong] }], sampleInfo)).toThrow(
      refused('LOCK_INVALID'),
    )
  })

  it('refuses inline bytes that do not have their digest', () => {
    const [artifact] = inlineTree('t', { a: 'b' }).artifacts as [Artifact]
    const inline = artifact.inline.map(blob => ({ ...blob, bytes: Buffer.alloc(blob.bytes.length, 1) }))
    expect(() => planLayout([{ ...artifact, inline }], sampleInfo)).toThrow(refused('LOCK_INVALID'))
  })

  it('refuses one name with two contents, and merges equal roots', () => {
    const a = inlineTree('t', { a: '1' })
    expect(() => layoutOf(combine(a, inlineTree('t', { a: '2' })))).toThrow(refused('NAME_COLLISION'))
    expect(layoutOf(combine(a, a)).layoutDigest).toBe(layoutOf(a).layoutDigest)
  })

  it.each(['index.json', 'blobs/sha256/x', 'airgap.json/x', 'oci-layout'])(
    'refuses the name %s, which the bundle uses',
    path => {
      expect(() => layoutOf(treeSample('t', { [path]: noise(5, 5) }, { named: [path] }))).toThrow(
        refused('NAME_COLLISION'),
      )
    },
  )

  it('refuses a named file that is a folder of another one', () => {
    const sample = treeSample('t', { 'a/b': noise(5, 5), a: noise(5, 6) }, { named: ['a', 'a/b'] })
    expect(() => layoutOf(sample)).toThrow(refused('NAME_COLLISION'))
  })

  it('refuses an artifact without its manifest', () => {
    const root = {
      ...describeBytes(noise(5, 1), mediaTypes.ociManifest),
      annotations: { [annotationKeys.refName]: 'x' },
    }
    expect(() => planLayout([{ root, inline: [], blobs: [] }], sampleInfo)).toThrow(refused('INTERNAL'))
  })

  it('links other names of one content, and refuses them with another mode', () => {
    const bytes = noise(40, 4)
    const descriptor = describeBytes(bytes)
    const files = ['x/b', 'x/a'].map(path => ({
      path,
      mode: '100755' as const,
      descriptor,
      origin: { sources: [] },
    }))
    const artifacts = treeArtifacts({ name: 't', kind: 'runtime', files })
    const named = (modes: number[]) =>
      artifacts.map(a => ({
        ...a,
        blobs: a.blobs.map((blob, i) => ({ ...blob, file: { path: files[i]!.path, mode: modes[i]! } })),
      }))
    const paths = planLayout(named([0o755, 0o755]), sampleInfo).entries.slice(-3)
    expect(paths.map(entry => [entry.type, entry.path.slice(0, 5), entry.target])).toEqual([
      ['file', 'x/a', undefined],
      ['link', 'blobs', 'x/a'],
      ['link', 'x/b', 'x/a'],
    ])
    expect(() => planLayout(named([0o755, 0o644]), sampleInfo)).toThrow(refused('NAME_COLLISION'))
  })

  it('fault 69: plans and opens 10,000 entries quickly', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 7_900 }, (_, i) => [`f/${i}`, Buffer.from(`content ${i}`)]),
    )
    const more = Object.fromEntries(
      Array.from({ length: 2_100 }, (_, i) => [`g/${i}`, Buffer.from(`more ${i}`)]),
    )
    const sample = combine(treeSample('f', files), treeSample('g', more))
    const started = performance.now()
    const layout = layoutOf(sample)
    expect(layout.entries.length).toBeGreaterThan(10_000)
    expect(performance.now() - started).toBeLessThan(10_000)
    const bytes = Buffer.alloc(layout.size)
    for (const piece of fixedBytes(layout)) bytes.set(piece.bytes, piece.offset)
    const opened = performance.now()
    const store = await openBundle(memorySource(bytes))
    expect(performance.now() - opened).toBeLessThan(5_000)
    expect(store.entries().map(entry => entry.dataOffset)).toEqual(
      layout.entries.map(entry => entry.dataOffset),
    )
  })

  it('fault 68: places what follows a blob of 9 GiB', () => {
    const huge = { mediaType: mediaTypes.octets, digest: digestOf('huge'), size: 9 * 1024 ** 3 + 1 }
    const [artifact] = treeArtifacts({
      name: 'files',
      kind: 'file',
      files: [{ path: 'huge', mode: '100644', descriptor: huge, origin: { sources: [] } }],
    })
    const layout = planLayout([artifact!], sampleInfo)
    const entry = layout.entries.find(candidate => candidate.digest === huge.digest)!
    expect(layout.size).toBe(entry.dataOffset + 9 * 1024 ** 3 + 512 + 1024)
  })
})
