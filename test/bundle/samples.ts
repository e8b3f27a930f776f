import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, vi } from 'vitest'
import type { ByteSource } from '../../src/bundle/byte-source.ts'
import { type BundleInfo, type Layout, planLayout } from '../../src/bundle/layout.ts'
import { BundleWriter } from '../../src/bundle/writer.ts'
import type { Artifact, PlannedBlob } from '../../src/content/artifact.ts'
import { inlineFile, type TreeFile, treeArtifacts } from '../../src/content/tree.ts'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import type { Descriptor } from '../../src/core/descriptor.ts'
import { type Digest, digestOf } from '../../src/core/digest.ts'
import { annotationKeys, mediaTypes } from '../../src/core/media-types.ts'
import type { Platform } from '../../src/core/platform.ts'

/** Artifacts with the bytes that upstream would give. */
export interface Sample {
  artifacts: Artifact[]
  contents: Map<Digest, Uint8Array>
}

export const sampleInfo: BundleInfo = { name: 'sample', version: '1.0.0', minimumTool: '0.1.0' }

export async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'airgap-bundle-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Sum of the sizes of all buffers that are allocated while `work` runs, bytes. */
export async function allocatedBytes(work: () => Promise<unknown>): Promise<number> {
  const spies = (['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const).map(name => vi.spyOn(Buffer, name))
  try {
    await work()
    return spies.flatMap(spy => spy.mock.calls).reduce((sum, [size]) => sum + size, 0)
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

/** The same bytes for the same seed (xorshift32). */
export function noise(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size)
  let state = seed * 2654435761 || 1
  for (let i = 0; i < size; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[i] = state & 0xff
  }
  return bytes
}

export function describeBytes(bytes: Uint8Array, mediaType: string = mediaTypes.octets): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.length }
}

interface SampleImage {
  root: Descriptor
  manifests: [Descriptor, Uint8Array][]
  blobs: [Descriptor, Uint8Array][]
}

/** An image of one platform: config and layers that a registry client accepts. */
export function imageOf(
  name: string,
  layers: Uint8Array[],
  platform: Platform = { os: 'linux', architecture: 'amd64' },
): SampleImage {
  const layerType = 'application/vnd.oci.image.layer.v1.tar'
  const described = layers.map(layer => describeBytes(layer, layerType))
  const rootfs = { type: 'layers', diff_ids: described.map(layer => layer.digest) }
  const config = Buffer.from(canonicalJson({ ...platform, config: {}, rootfs }))
  const configDescriptor = describeBytes(config, mediaTypes.ociConfig)
  const manifest = Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: configDescriptor,
      layers: described,
    }),
  )
  const root = { ...describeBytes(manifest, mediaTypes.ociManifest), annotations: named(name) }
  return {
    root,
    manifests: [[describeBytes(manifest, mediaTypes.ociManifest), manifest]],
    blobs: [
      [configDescriptor, config],
      ...described.map((layer, i): [Descriptor, Uint8Array] => [layer, layers[i]!]),
    ],
  }
}

/** An index of images, of which only those in `carried` come along. */
function indexOf(name: string, images: [Platform, SampleImage][], carried: number[]): SampleImage {
  const manifests = images.map(([platform, image]) => ({ ...image.manifests[0]![0], platform }))
  const bytes = Buffer.from(canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }))
  const kept = carried.map(i => images[i]![1])
  const descriptor = describeBytes(bytes, mediaTypes.ociIndex)
  return {
    root: { ...descriptor, annotations: named(name) },
    manifests: [[descriptor, bytes], ...kept.flatMap(image => image.manifests)],
    blobs: kept.flatMap(image => image.blobs),
  }
}

function named(name: string): Record<string, string> {
  return { [annotationKeys.refName]: name, [annotationKeys.kind]: 'image' }
}

export function imageSample(image: SampleImage): Sample {
  const source = { type: 'registry' as const, name: 'registry.example/sample' }
  const blobs: PlannedBlob[] = [
    ...image.manifests.map(([descriptor]) => ({
      descriptor,
      sources: [{ ...source, as: 'manifest' as const }],
      front: true,
    })),
    ...image.blobs.map(([descriptor]) => ({ descriptor, sources: [{ ...source, as: 'blob' as const }] })),
  ]
  const contents = [...image.manifests, ...image.blobs].map(([{ digest }, bytes]): [Digest, Uint8Array] => [
    digest,
    bytes,
  ])
  return { artifacts: [{ root: image.root, inline: [], blobs }], contents: new Map(contents) }
}

/** A tree of fetched files; those in `named` also stand under their own name. */
export function treeSample(
  name: string,
  files: Record<string, Uint8Array>,
  options: { named?: string[]; kind?: string } = {},
): Sample {
  const contents = new Map<Digest, Uint8Array>()
  const fetched = Object.entries(files).map(([path, bytes]): TreeFile => {
    contents.set(digestOf(bytes), bytes)
    const origin = { sources: [{ type: 'path' as const, path }] }
    return {
      path,
      mode: options.named?.includes(path) ? '100755' : '100644',
      descriptor: describeBytes(bytes),
      origin,
    }
  })
  const artifacts = treeArtifacts({ name, kind: options.kind ?? 'file', files: fetched }).map(artifact => ({
    ...artifact,
    blobs: artifact.blobs.map(blob => {
      const path = fetched.find(file => file.descriptor.digest === blob.descriptor.digest)!.path
      return options.named?.includes(path) ? { ...blob, file: { path, mode: 0o755 } } : blob
    }),
  }))
  return { artifacts, contents }
}

export function inlineTree(name: string, files: Record<string, string>): Sample {
  const inline = Object.entries(files).map(([path, text]) => inlineFile(path, Buffer.from(text)))
  return { artifacts: treeArtifacts({ name, kind: 'tree', files: inline }), contents: new Map() }
}

export function combine(...samples: Sample[]): Sample {
  return {
    artifacts: samples.flatMap(sample => sample.artifacts),
    contents: new Map(samples.flatMap(sample => [...sample.contents])),
  }
}

/** Every feature of the format in a few KB: image, index with an absent platform, named file, inline and empty content. */
export function smallSample(): Sample {
  const amd64 = imageOf('registry.example/app:1', [noise(700, 1), noise(512, 2)])
  const arm64 = imageOf('unused', [noise(300, 3)], { os: 'linux', architecture: 'arm64' })
  const multi = indexOf(
    'docker.io/library/multi:2',
    [
      [{ os: 'linux', architecture: 'amd64' }, amd64],
      [{ os: 'linux', architecture: 'arm64' }, arm64],
    ],
    [0],
  )
  return combine(
    imageSample(amd64),
    imageSample(multi),
    treeSample(
      'offline-deploy',
      { 'offline-deploy/run': noise(900, 4) },
      { named: ['offline-deploy/run'], kind: 'runtime' },
    ),
    inlineTree('lock', { 'lock.json': '{}\n', empty: '' }),
  )
}

export function layoutOf(sample: Sample, info: BundleInfo = sampleInfo): Layout {
  return planLayout(sample.artifacts, info)
}

export async function writeBundle(
  path: string,
  sample: Sample,
  info: BundleInfo = sampleInfo,
): Promise<Layout> {
  const layout = layoutOf(sample, info)
  const writer = await BundleWriter.open(path, layout)
  try {
    for (const slot of writer.pending()) {
      await slot.write(sample.contents.get(slot.descriptor.digest)!)
      await slot.finish()
    }
    await writer.seal()
  } finally {
    await writer.close()
  }
  return layout
}

/** Bytes as a reader takes them: it never writes, so a test may change them meanwhile. */
export function memorySource(bytes: Uint8Array): ByteSource {
  return {
    name: 'memory.tar',
    size: bytes.length,
    opened: [],
    state: async () => [],
    read: async (buffer, position) => buffer.set(bytes.subarray(position, position + buffer.length)),
    close: async () => {},
  }
}

/** The finished bundle as one buffer. */
export async function bundleBytes(sample: Sample, info: BundleInfo = sampleInfo): Promise<Buffer> {
  const path = join(await tempFolder(), 'sample.tar')
  await writeBundle(path, sample, info)
  return readFile(path)
}
