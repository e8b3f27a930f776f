import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { createLayout, hashFile, type LayerFile, putImage, tagLayout } from './oci-layout.ts'

const MiB = 1 << 20

/** Makes an OCI layout with one image, tagged `1`, of random (incompressible) layers, for benchmarks and load tests. */
export async function makeRandomImage(
  folder: string,
  size: { layers: number; layerSize: number /* bytes */ },
): Promise<void> {
  await createLayout(folder)
  const layers: LayerFile[] = []
  for (let i = 0; i < size.layers; i++) {
    const path = join(folder, `layer-${i}`)
    const handle = await open(path, 'w')
    try {
      for (let left = size.layerSize; left > 0; left -= MiB)
        await handle.write(randomBytes(Math.min(MiB, left)))
    } finally {
      await handle.close()
    }
    layers.push({ path, gzip: false, diffId: (await hashFile(path)).digest, move: true })
  }
  await tagLayout(folder, { '1': await putImage(folder, { architecture: 'amd64', layers }) })
}
