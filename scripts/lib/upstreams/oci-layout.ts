import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Writes OCI image layouts (image-spec, image-layout.md), as input for the demo, tests and benchmarks. */

export interface Written {
  mediaType: string
  digest: string
  size: number
}

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
}

/** A layer: a tar, plain or gzipped. `diffId` is the digest of the plain tar. */
export interface LayerFile {
  path: string
  gzip: boolean
  diffId: string
  /** moves the file instead of copying it */
  move?: boolean
}

export async function createLayout(folder: string): Promise<void> {
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true })
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
}

export async function putImage(
  folder: string,
  image: { architecture: string; layers: LayerFile[]; config?: object },
): Promise<Written> {
  const layers: Written[] = []
  for (const layer of image.layers) {
    const { digest, size } = await hashFile(layer.path)
    const target = join(folder, 'blobs', 'sha256', digest.slice(7))
    await (layer.move ? rename(layer.path, target) : copyFile(layer.path, target))
    layers.push({
      mediaType: `application/vnd.oci.image.layer.v1.tar${layer.gzip ? '+gzip' : ''}`,
      digest,
      size,
    })
  }
  const rootfs = { type: 'layers', diff_ids: image.layers.map(layer => layer.diffId) }
  const config = await putJson(folder, types.config, {
    architecture: image.architecture,
    os: 'linux',
    config: image.config ?? {},
    rootfs,
  })
  return await putJson(folder, types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config,
    layers,
  })
}

export async function putIndex(
  folder: string,
  images: { image: Written; architecture: string }[],
): Promise<Written> {
  const manifests = images.map(({ image, architecture }) => ({
    ...image,
    platform: { os: 'linux', architecture, ...(architecture === 'arm64' ? { variant: 'v8' } : {}) },
  }))
  return await putIndexOf(folder, manifests)
}

/** An index of these entries as they are. */
export async function putIndexOf(
  folder: string,
  manifests: (Written & { platform?: object; annotations?: object })[],
): Promise<Written> {
  return await putJson(folder, types.index, { schemaVersion: 2, mediaType: types.index, manifests })
}

/** Writes index.json of the layout: tag → descriptor. */
export async function tagLayout(folder: string, tags: Record<string, Written>): Promise<void> {
  const manifests = Object.entries(tags).map(([tag, written]) => ({
    ...written,
    annotations: { 'org.opencontainers.image.ref.name': tag },
  }))
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
}

async function putJson(folder: string, mediaType: string, value: object): Promise<Written> {
  const bytes = Buffer.from(JSON.stringify(value))
  const hex = createHash('sha256').update(bytes).digest('hex')
  await writeFile(join(folder, 'blobs', 'sha256', hex), bytes)
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length }
}

export async function hashFile(path: string): Promise<{ digest: string; size: number }> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    size += chunk.length
  }
  return { digest: `sha256:${hash.digest('hex')}`, size }
}
