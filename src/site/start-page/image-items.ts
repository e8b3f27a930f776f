import { readAll } from '../../content/read.ts'
import type { ReadableStore } from '../../content/store.ts'
import { parseManifest } from '../../content/successors.ts'
import { compareText } from '../../core/canonical-json.ts'
import type { Descriptor } from '../../core/descriptor.ts'
import { isIndexType, isManifestType } from '../../core/media-types.ts'
import { formatPlatform, readPlatform } from '../../core/platform.ts'
import type { ListedItem } from '../../kinds/mount.ts'
import type { NamedRoot } from '../images.ts'

/** An item of a list; of an image, with its manifest. */
export interface CatalogueItem extends ListedItem {
  root?: Descriptor
}

/** Tags under which cosign 2 and older push signatures: attached to an image, not images. */
const attachedTag = /^sha256-[0-9a-f]{64}(?:\.[a-z]+)?$/

/**
 * Returns one item for each image: its canonical name once, whatever other names it answers to, and all of its tags. What refers to an
 * image (a signature, an SBOM) is not listed. Throws BUNDLE_CORRUPT.
 */
export async function imageItems(
  store: ReadableStore,
  named: readonly NamedRoot[],
): Promise<CatalogueItem[]> {
  const found = new Map<string, { name: string; root: Descriptor; tags: Set<string> }>()
  for (const { kind, reference, root } of named) {
    if (kind !== 'image' || reference === undefined) continue
    const { host, repository, tag } = reference
    if (tag === undefined ? await refersToImage(store, root) : attachedTag.test(tag)) continue
    const name = `${host}/${repository}`
    const key = `${name}@${root.digest}`
    const image = found.get(key) ?? { name, root, tags: new Set<string>() }
    if (tag !== undefined) image.tags.add(tag)
    found.set(key, image)
  }
  return [...found.values()]
    .map(({ name, root, tags }) => ({
      name,
      version: [...tags].sort(compareText).join(', '),
      digest: root.digest,
      root,
    }))
    .sort((a, b) => compareText(a.name, b.name) || compareText(a.version, b.version))
}

async function refersToImage(store: ReadableStore, root: Descriptor): Promise<boolean> {
  return (await parsed(store, root)).subject !== undefined
}

export interface ImageDetails {
  /** those that are carried */
  platforms: string[]
  /** of configs and layers that are carried, each once, bytes */
  size: number
}

/** Reads the manifests of an image. Throws BUNDLE_CORRUPT. */
export async function imageDetails(store: ReadableStore, root: Descriptor): Promise<ImageDetails> {
  const platforms = new Set<string>()
  const sizes = new Map<string, number>()
  // an index may be listed many times
  const seen = new Set<string>()
  const visit = async (descriptor: Descriptor): Promise<void> => {
    if (seen.has(descriptor.digest)) return
    seen.add(descriptor.digest)
    const manifest = await parsed(store, descriptor)
    if (manifest.type === 'index') {
      for (const child of manifest.manifests) {
        const isImage = isManifestType(child.mediaType) || isIndexType(child.mediaType)
        // an index is carried unchanged, its children only for the requested platforms; an attestation has none
        if (!isImage || isAttestation(child) || !(await store.exists(child))) continue
        if (child.platform !== undefined) platforms.add(formatPlatform(child.platform))
        await visit(child)
      }
      return
    }
    for (const { digest, size } of [manifest.config, ...manifest.layers]) sizes.set(digest, size)
    if (descriptor === root) {
      const platform = await platformOfConfig(store, manifest.config)
      if (platform !== undefined) platforms.add(platform)
    }
  }
  await visit(root)
  return {
    platforms: [...platforms].sort(compareText),
    size: [...sizes.values()].reduce((sum, size) => sum + size, 0),
  }
}

/** BuildKit, "Image attestation storage". */
function isAttestation({ platform }: Descriptor): boolean {
  return platform?.os === 'unknown' && platform.architecture === 'unknown'
}

const maxConfig = 8 << 20 /* bytes */

/** An artifact that is no image has a config without a platform. */
async function platformOfConfig(store: ReadableStore, config: Descriptor): Promise<string | undefined> {
  if (config.size > maxConfig) return undefined
  try {
    const platform = readPlatform(JSON.parse((await readAll(store, config)).toString('utf8')))
    return platform.os === '' ? undefined : formatPlatform(platform)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

async function parsed(
  store: ReadableStore,
  descriptor: Descriptor,
): Promise<ReturnType<typeof parseManifest>> {
  const { mediaType, digest } = descriptor
  return parseManifest(await readAll(store, descriptor), {
    mediaType,
    item: digest,
    code: 'BUNDLE_CORRUPT',
  })
}
