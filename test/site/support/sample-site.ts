import { Readable } from 'node:stream'
import { planLayout } from '../../../src/bundle/layout.ts'
import { BundleWriter } from '../../../src/bundle/writer.ts'
import type { Artifact, InlineBlob } from '../../../src/content/artifact.ts'
import { MemoryStore } from '../../../src/content/memory-store.ts'
import { inlineFile, type TreeMode, treeArtifacts } from '../../../src/content/tree.ts'
import { canonicalJson } from '../../../src/core/canonical-json.ts'
import { digestOf } from '../../../src/core/digest.ts'
import { annotationKeys, mediaTypes } from '../../../src/core/media-types.ts'
import { silentProgress } from '../../../src/core/progress.ts'
import { formatLock } from '../../../src/lock/lock.ts'
import type { Lock } from '../../../src/lock/schema.ts'
import type { SiteContent } from '../../../src/site/content.ts'

/** Small artifacts of every kind, all bytes inline: real manifests, real digests. */

export function blobOf(bytes: Uint8Array | string, mediaType: string = mediaTypes.octets): InlineBlob {
  const body = Buffer.from(bytes)
  return { descriptor: { mediaType, digest: digestOf(body), size: body.length }, bytes: body }
}

const annotated = (blob: InlineBlob, name: string, kind: string) => ({
  ...blob.descriptor,
  annotations: { [annotationKeys.refName]: name, [annotationKeys.kind]: kind },
})

function imageBlobs(text: string): { manifest: InlineBlob; inline: InlineBlob[] } {
  const layer = blobOf(`layer of ${text}`, 'application/vnd.oci.image.layer.v1.tar')
  const config = blobOf(
    canonicalJson({ os: 'linux', architecture: 'amd64', comment: text }),
    mediaTypes.ociConfig,
  )
  const manifest = blobOf(
    canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: config.descriptor,
      layers: [layer.descriptor],
    }),
    mediaTypes.ociManifest,
  )
  return { manifest, inline: [manifest, config, layer] }
}

export function sampleImage(name: string, text = name): Artifact {
  const { manifest, inline } = imageBlobs(text)
  return { root: annotated(manifest, name, 'image'), inline, blobs: [] }
}

/** An index of two platforms of which only the first is carried, as the builder narrows it. */
export function sampleIndex(name: string): Artifact {
  const carried = imageBlobs(`${name} amd64`)
  const missing = imageBlobs(`${name} arm64`)
  const index = blobOf(
    canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [
        { ...carried.manifest.descriptor, platform: { os: 'linux', architecture: 'amd64' } },
        { ...missing.manifest.descriptor, platform: { os: 'linux', architecture: 'arm64' } },
      ],
    }),
    mediaTypes.ociIndex,
  )
  return { root: annotated(index, name, 'image'), inline: [index, ...carried.inline], blobs: [] }
}

/** What refers to an image: a signature or an SBOM, a root named by its digest. */
export function sampleReferrer(repository: string, subject: Artifact): Artifact {
  const config = blobOf('{}', mediaTypes.ociEmpty)
  const { mediaType, digest, size } = subject.root
  const manifest = blobOf(
    canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType: 'application/vnd.example.sbom',
      config: config.descriptor,
      layers: [config.descriptor],
      subject: { mediaType, digest, size },
      annotations: { made: 'for a test' },
    }),
    mediaTypes.ociManifest,
  )
  const name = `${repository}@${manifest.descriptor.digest}`
  return { root: annotated(manifest, name, 'image'), inline: [manifest, config], blobs: [] }
}

export function sampleChart(
  name: string,
  metadata: { name: string; version: string },
  archive = 'a chart',
): Artifact {
  const config = blobOf(canonicalJson({ apiVersion: 'v2', ...metadata }), mediaTypes.helmConfig)
  const layer = blobOf(`${archive} ${metadata.name} ${metadata.version}`, mediaTypes.helmChart)
  const manifest = blobOf(
    canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: config.descriptor,
      layers: [layer.descriptor],
    }),
    mediaTypes.ociManifest,
  )
  return { root: annotated(manifest, name, 'chart'), inline: [manifest, config, layer], blobs: [] }
}

export function sampleTree(
  name: string,
  files: Record<string, string | { text: string; mode: TreeMode }>,
  kind = 'tree',
): Artifact[] {
  const list = Object.entries(files).map(([path, file]) =>
    typeof file === 'string'
      ? inlineFile(path, Buffer.from(file))
      : inlineFile(path, Buffer.from(file.text), file.mode),
  )
  return treeArtifacts({ name, kind, files: list })
}

export const sampleValues = `# values of production
offline: # filled in on site
  registry: "" # host:port
  httpServer: ""
`

/** The lock of a bundle, as `airgap build` puts it in. */
export function sampleLock(fields: Partial<Lock> = {}): Artifact[] {
  const lock: Lock = {
    lockVersion: 1,
    name: 'sample',
    version: '1.0.0',
    platforms: ['linux/amd64'],
    inputs: digestOf('x'),
    collisions: {},
    runtime: [],
    items: {},
    ...fields,
  }
  return sampleTree('lock', { 'lock.json': formatLock(lock) }, 'bundle')
}

/** One of everything. */
export function sampleStack(
  options: { values?: string; collisions?: Record<string, string> } = {},
): Artifact[] {
  return [
    sampleIndex('docker.io/library/busybox:1.36'),
    sampleImage('nvcr.io/nvidia/cuda:12'),
    sampleChart('charts/demo:1.0.0_x', { name: 'demo', version: '1.0.0+x' }),
    ...sampleTree(
      'files',
      { 'get.example/tool.txt': 'a tool', 'get.example/large.txt': 'x'.repeat(5000) },
      'file',
    ),
    ...sampleTree(
      'debs/debian-12',
      {
        'dists/bookworm/main/binary-amd64/Packages':
          'Package: jq\nVersion: 1.6\nFilename: pool/main/j/jq_1.6_amd64.deb\n',
        'pool/main/j/jq_1.6_amd64.deb': 'not really a package',
      },
      'deb',
    ),
    ...sampleTree('tree/deploy', {
      'environments/prod/values.yaml': options.values ?? sampleValues,
      'environments/dev/values.yaml': sampleValues,
      'install.sh': { text: '#!/bin/sh\n', mode: '100755' },
      current: { text: 'environments/prod', mode: '120000' },
    }),
    ...sampleLock({ collisions: options.collisions ?? {} }),
  ]
}

/** The artifacts in memory, as a site is given them. */
export async function contentOf(artifacts: readonly Artifact[]): Promise<SiteContent> {
  const store = new MemoryStore()
  for (const { inline } of artifacts) {
    for (const { descriptor, bytes } of inline) await store.push(descriptor, Readable.from([bytes]))
  }
  const roots = artifacts.map(artifact => artifact.root)
  return Object.assign(store, { roots: () => roots, indexDigest: digestOf(canonicalJson(roots)) })
}

/** The artifacts as a real bundle file; gives its index digest. */
export async function writeBundle(
  path: string,
  artifacts: Artifact[],
  version = '1.0.0',
  name = 'sample',
): Promise<string> {
  const layout = planLayout(artifacts, { name, version, minimumTool: '0.1.0' })
  const writer = await BundleWriter.open(path, layout, { progress: silentProgress })
  try {
    await writer.seal()
  } finally {
    await writer.close()
  }
  return layout.indexDigest
}
