import type { ImageCarrier } from '../../layers/image-layers.ts'
import type { ImageContent } from '../../layers/installed.ts'
import type { Shell } from './run.ts'

/** Reads what is installed in the images of a bundle; progress goes to stderr. */
export async function readLayers(bundle: ImageCarrier, shell: Shell): Promise<ImageContent[]> {
  const { imageLayers } = await import('../../layers/image-layers.ts')
  const { readImages } = await import('../../layers/read-images.ts')
  const { signal } = shell
  return await readImages(bundle, await imageLayers(bundle), { progress: shell.progress(), signal })
}
