import { mkdir, readdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../core/atomic-file.ts'
import { type Digest, hexOf } from '../core/digest.ts'
import { errnoOf, fromSystemError } from '../core/errors.ts'
import { isRepository } from '../core/reference.ts'

/**
 * Where everything is in the folder of an overlay:
 *
 *     blobs/sha256/HEX                   all content, by digest
 *     repositories/team+app/             an OCI image layout: oci-layout, index.json, blobs → ../../blobs
 *     repositories/team+app/blobs.jsonl  the blobs of the repository, and when each was linked
 *     uploads/ID.json, uploads/ID        a session; its bytes so far
 *     reserve                            space for removing on a full disk
 */
export interface OverlayFolder {
  blobs: string
  repositories: string
  uploads: string
  reserve: string
  blob(digest: Digest): string
  repository(name: string): string
  upload(id: string): string
}

export function overlayFolder(folder: string): OverlayFolder {
  const blobs = join(folder, 'blobs', 'sha256')
  const repositories = join(folder, 'repositories')
  const uploads = join(folder, 'uploads')
  return {
    blobs,
    repositories,
    uploads,
    reserve: join(folder, 'reserve'),
    blob: digest => join(blobs, hexOf(digest)),
    repository: name => join(repositories, folderOf(name)),
    upload: id => join(uploads, id),
  }
}

/** Makes the folders. Throws PERMISSION, NO_SPACE, IO. */
export async function makeOverlayFolder(folder: string): Promise<OverlayFolder> {
  const paths = overlayFolder(folder)
  try {
    for (const path of [paths.blobs, paths.repositories, paths.uploads])
      await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw fromSystemError(error, folder)
  }
  return paths
}

/**
 * Makes an empty repository where there is none: an image layout over the blobs of the overlay. Removes what a killed process has not renamed
 * into place.
 */
export async function makeRepositoryFolder(path: string): Promise<void> {
  const files = await readdir(path).catch((): string[] => [])
  for (const file of files) if (file.endsWith('.tmp')) await rm(join(path, file), { force: true })
  // written last; a full disk must not keep the servers from their start
  if (files.includes('oci-layout')) return
  await mkdir(path, { recursive: true, mode: 0o700 })
  await symlink('../../blobs', join(path, 'blobs')).catch(error => {
    if (errnoOf(error) !== 'EEXIST') throw error
  })
  await writeAtomically(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
}

/** `+` is in no name of a repository, and a folder of a repository is never inside another one (`a`, and `a/blobs`). */
function folderOf(name: string): string {
  return name.replaceAll('/', '+')
}

/** Returns the repository of a folder; undefined for a folder that is none. */
export function nameOfFolder(folder: string): string | undefined {
  const name = folder.replaceAll('+', '/')
  return isRepository(name) ? name : undefined
}
