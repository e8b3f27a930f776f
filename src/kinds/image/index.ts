import { formatPlatform } from '../../core/platform.ts'
import { formatReference } from '../../core/reference.ts'
import { defineKind } from '../kind.ts'
import { assembleImages } from './assemble.ts'
import { imageEntry } from './entry.ts'
import { lockedImageSchema } from './locked.ts'
import { resolveImage } from './resolve.ts'

export const imageKind = defineKind({
  name: 'image',
  entry: imageEntry,
  inputs: {
    of: image => ({
      ...image,
      reference: formatReference(image.reference),
      from: formatReference(image.from),
      platforms: image.platforms.map(formatPlatform),
    }),
    empty: 'counted',
  },
  schema: lockedImageSchema,
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
})
