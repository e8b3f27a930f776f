import { readAll } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import { parseManifest } from '../content/successors.ts'
import { defined } from '../core/defined.ts'
import type { Descriptor } from '../core/descriptor.ts'
import type { Digest } from '../core/digest.ts'
import { annotationKeys, isIndexType, isManifestType } from '../core/media-types.ts'
import { formatPlatform, isCompletePlatform, isUnknownPlatform, readPlatform } from '../core/platform.ts'

/** An image for one platform, with its layers from the lowest up. */
export interface ImageLayers {
  /** as it is deployed: `docker.io/library/debian:12` */
  name: string
  /** of the manifest of this platform */
  digest: Digest
  /** `linux/amd64`; absent where the publisher declares none */
  platform?: string
  layers: Descriptor[]
}

export interface ImageCarrier extends ReadableStore {
  roots(): readonly Descriptor[]
}

const maxDepth = 4
const configType = /^application\/vnd\.(?:oci\.image\.config|docker\.container\.image)\.v1\+json$/

/**
 * Returns the images that a bundle carries, each platform on its own. Signatures, attestations and other artifacts have no file system
 * and are left out. Throws BUNDLE_CORRUPT, and what the store throws.
 */
export async function imageLayers(bundle: ImageCarrier): Promise<ImageLayers[]> {
  const images: ImageLayers[] = []
  for (const root of bundle.roots()) {
    if (root.annotations?.[annotationKeys.kind] !== 'image') continue
    const name = root.annotations[annotationKeys.refName] ?? root.digest
    await addManifest(images, { bundle, name, descriptor: root, depth: 0 })
  }
  return images
}

interface Place {
  bundle: ImageCarrier
  name: string
  descriptor: Descriptor
  depth: number
}

async function addManifest(images: ImageLayers[], place: Place): Promise<void> {
  const { bundle, name, descriptor, depth } = place
  const { mediaType, digest, platform } = descriptor
  if (!isIndexType(mediaType) && !isManifestType(mediaType)) return
  if (platform !== undefined && isUnknownPlatform(platform)) return
  const bytes = await readAll(bundle, descriptor)
  const manifest = parseManifest(bytes, { mediaType, item: digest, code: 'BUNDLE_CORRUPT' })
  if (manifest.type === 'index') {
    if (depth === maxDepth) return
    // images of other platforms are not carried
    for (const child of manifest.manifests)
      if (await bundle.exists(child))
        await addManifest(images, { bundle, name, descriptor: child, depth: depth + 1 })
    return
  }
  const { config, layers } = manifest
  if (!configType.test(config.mediaType) || !layers.some(isFileSystem)) return
  const declared = isCompletePlatform(platform) ? platform : await declaredPlatform(bundle, config)
  images.push(
    defined({
      name,
      digest,
      platform: declared === undefined ? undefined : formatPlatform(declared),
      layers,
    }),
  )
}

function isFileSystem({ mediaType }: Descriptor): boolean {
  return /\btar\b/.test(mediaType)
}

async function declaredPlatform(bundle: ImageCarrier, config: Descriptor) {
  const bytes = await readAll(bundle, config)
  try {
    const platform = readPlatform(JSON.parse(bytes.toString('utf8')))
    return isCompletePlatform(platform) ? platform : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
