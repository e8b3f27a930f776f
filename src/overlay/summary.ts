import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { annotationKeys } from '../core/media-types.ts'
import { nameOfFolder, overlayFolder } from './overlay-folder.ts'
import { readIndex, readLinks } from './repository.ts'

/** What an overlay holds. */
export interface OverlaySummary {
  repositories: number
  tags: number
  manifests: number
  blobs: number
  /** of all blobs, each counted once; includes those of bundles that images build on */
  bytes: number
}

/** Reads what the overlay in this folder holds, whether its servers run or not; reads no content. A repository that is damaged is left out. */
export async function overlaySummary(folder: string): Promise<OverlaySummary> {
  const paths = overlayFolder(folder)
  const manifests = new Set<string>()
  const blobs = new Map<string, number>()
  let [repositories, tags] = [0, 0]
  for (const entry of await readdir(paths.repositories).catch(() => [])) {
    const name = nameOfFolder(entry)
    if (name === undefined) continue
    const entries = await readIndex(paths.repository(name)).catch(() => [])
    if (entries.length > 0) repositories++
    for (const { digest, annotations } of entries) {
      manifests.add(digest)
      if (annotations?.[annotationKeys.refName] !== undefined) tags++
    }
    for (const [digest, { size }] of await readLinks(paths.repository(name))) blobs.set(digest, size)
  }
  const bytes = [...blobs.values()].reduce((sum, size) => sum + size, 0)
  return { repositories, tags, manifests: manifests.size, blobs: blobs.size, bytes }
}

/** Returns the bytes of all files, uploads in progress and content without a reference included: what a quota counts. */
export async function storedBytes(folder: string): Promise<number> {
  const { blobs, uploads } = overlayFolder(folder)
  return (await sizeOfFiles(blobs)) + (await sizeOfFiles(uploads))
}

/** A file that is removed in the meantime has no size. */
async function sizeOfFiles(folder: string): Promise<number> {
  const files = await readdir(folder).catch(() => [])
  const sizes = await Promise.all(
    files.map(async file => (await stat(join(folder, file)).catch(() => undefined))?.size ?? 0),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
