import type { ImageRequest } from '../../manifest/stack.ts'
import type { Kind } from '../kind.ts'
import { assembleImages } from './assemble.ts'
import { type LockedImage, lockedImageSchema } from './locked.ts'
import { resolveImage } from './resolve.ts'

export const imageKind: Kind<ImageRequest, LockedImage> = {
  name: 'image',
  schema: lockedImageSchema,
  requests: manifest => manifest.images,
  resolve: resolveImage,
  assemble: assembleImages,
  describe: image => {
    const sizes = new Map([...image.manifests, ...image.blobs].map(blob => [blob.digest, blob.size]))
    return [
      {
        name: image.name,
        size: [...sizes.values()].reduce((sum, size) => sum + size, 0),
        source: image.from,
      },
    ]
  },
}
