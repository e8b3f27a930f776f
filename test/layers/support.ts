import { Readable } from 'node:stream'
import { MemoryStore } from '../../src/content/memory-store.ts'
import type { Descriptor } from '../../src/core/descriptor.ts'
import { digestOf } from '../../src/core/digest.ts'
import { silentProgress } from '../../src/core/progress.ts'
import type { ImageLayers } from '../../src/layers/image-layers.ts'
import type { ImageContent } from '../../src/layers/installed.ts'
import { readImages } from '../../src/layers/read-images.ts'
import { type Entry, tarOf } from '../kinds/chart/support.ts'

export { type Entry, tarOf }

export const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'

/** A store with these layers, from the lowest up; each digest once. */
export async function storeOf(
  layers: readonly Buffer[],
): Promise<{ store: MemoryStore; layers: Descriptor[] }> {
  const store = new MemoryStore()
  const described = layers.map(bytes => ({
    mediaType: layerType,
    digest: digestOf(bytes),
    size: bytes.length,
  }))
  for (const [i, bytes] of layers.entries()) await store.push(described[i]!, Readable.from([bytes]))
  return { store, layers: described }
}

/** What is found in an image of these layers. */
export async function contentOf(...tars: readonly (Buffer | Entry[])[]): Promise<ImageContent> {
  const { store, layers } = await storeOf(tars.map(tar => (Buffer.isBuffer(tar) ? tar : tarOf(tar))))
  const image: ImageLayers = { name: 'registry.example/app:1', digest: digestOf('manifest'), layers }
  const [content] = await readImages(store, [image], {
    progress: silentProgress,
    signal: new AbortController().signal,
  })
  return content!
}

/** `name version` of each package, sorted by type. */
export function namesIn({ packages }: ImageContent): string[] {
  return packages.map(({ name, version }) => `${name} ${version}`)
}

export function dpkgStatus(...names: readonly string[]): string {
  return names
    .map(name =>
      [`Package: ${name}`, 'Status: install ok installed', 'Architecture: amd64', 'Version: 1.0-1', ''].join(
        '\n',
      ),
    )
    .join('\n')
}

export const statusPath = 'var/lib/dpkg/status'
