import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, isDigest } from '../core/digest.ts'
import { readGuarded } from '../core/guarded-file.ts'
import { annotationKeys, isForeignLayerType } from '../core/media-types.ts'
import { nameOfFolder, overlayFolder } from './overlay-folder.ts'

/** of a manifest, and of a repository's index */
const maxText = 64 << 20 /* bytes */

/** A pushed image, and content of it that the overlay does not have itself. */
export interface NeedsContent {
  /** `team/app:1`, or with the digest where it has no tag */
  name: string
  digests: Digest[]
}

/**
 * Returns the pushed images that need content of which `isMissing` says that it would be gone. Reads the files of the overlay, whether it is open
 * or not; what is pushed in the meantime may be left out.
 */
export async function imagesNeeding(
  folder: string,
  isMissing: (digest: Digest) => boolean,
): Promise<NeedsContent[]> {
  const { blobs, blob, repositories } = overlayFolder(folder)
  const own = new Set(await readdir(blobs).catch(() => []))
  const found: NeedsContent[] = []

  async function neededBy(digest: Digest, seen = new Set<Digest>()): Promise<Digest[]> {
    if (seen.has(digest)) return []
    seen.add(digest)
    if (!own.has(digest.slice('sha256:'.length))) return isMissing(digest) ? [digest] : []
    const manifest = parsed(await textOf(blob(digest)))
    const needed: Digest[] = []
    for (const child of listOf(manifest?.['manifests'])) needed.push(...(await neededBy(child, seen)))
    const others = [...listOf([manifest?.['config']]), ...listOf(requiredLayers(manifest?.['layers']))]
    needed.push(...others.filter(one => !own.has(one.slice('sha256:'.length)) && isMissing(one)))
    return needed
  }

  for (const entry of await readdir(repositories).catch(() => [])) {
    const repository = nameOfFolder(entry)
    if (repository === undefined) continue
    const index = parsed(await textOf(join(repositories, entry, 'index.json')))
    const manifests = index?.['manifests']
    for (const one of Array.isArray(manifests) ? manifests : []) {
      if (!isDigest(String(one?.digest))) continue
      const tag = one.annotations?.[annotationKeys.refName]
      const digests = [...new Set(await neededBy(one.digest))]
      if (digests.length > 0)
        found.push({ name: tag ? `${repository}:${tag}` : `${repository}@${one.digest}`, digests })
    }
  }
  return found
}

/** Empty where it cannot be read. No links are followed: a command reads it as root, and it belongs to the servers' user. */
async function textOf(path: string): Promise<string> {
  const file = await readGuarded(path, maxText).catch(() => undefined)
  return file?.bytes.toString('utf8') ?? ''
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Registries may lack the others: a push does not require them either. */
function requiredLayers(layers: unknown): unknown[] {
  return Array.isArray(layers) ? layers.filter(one => !isForeignLayerType(String(one?.mediaType))) : []
}

function listOf(value: unknown): Digest[] {
  const digests = Array.isArray(value) ? value.map(one => String(one?.digest)) : []
  return digests.filter(isDigest)
}
