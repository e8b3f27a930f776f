import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const MiB = 1 << 20

/** An OCI layout folder with one image, tag `1`, of random (incompressible) layers: input for benches and load tests. */
export async function makeRandomImage(folder: string, size: { layers: number; layerSize: number /* bytes */ }): Promise<void> {
  const blobs = join(folder, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  const layers: { mediaType: string; digest: string; size: number }[] = []
  for (let i = 0; i < size.layers; i++) {
    const digest = await randomBlob(blobs, size.layerSize)
    layers.push({ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: size.layerSize })
  }
  const put = async (value: object) => {
    const bytes = Buffer.from(JSON.stringify(value))
    const hex = createHash('sha256').update(bytes).digest('hex')
    await writeFile(join(blobs, hex), bytes)
    return { digest: `sha256:${hex}`, size: bytes.length }
  }
  const rootfs = { type: 'layers', diff_ids: layers.map(layer => layer.digest) }
  const config = await put({ architecture: 'amd64', os: 'linux', config: {}, rootfs })
  const manifest = await put({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers,
  })
  const entry = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    ...manifest,
    annotations: { 'org.opencontainers.image.ref.name': '1' },
  }
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }))
}

async function randomBlob(blobs: string, size: number): Promise<string> {
  const path = join(blobs, 'new')
  const hash = createHash('sha256')
  const handle = await open(path, 'w')
  try {
    for (let left = size; left > 0; left -= MiB) {
      const chunk = randomBytes(Math.min(MiB, left))
      hash.update(chunk)
      await handle.write(chunk)
    }
  } finally {
    await handle.close()
  }
  const hex = hash.digest('hex')
  await rename(path, join(blobs, hex))
  return `sha256:${hex}`
}
