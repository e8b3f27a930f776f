import { readdir } from 'node:fs/promises'
import { type Digest, isDigest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { isRepository, isTag } from '../core/reference.ts'
import { nameOfFolder, overlayFolder } from './overlay-folder.ts'
import { type RepositoryContent, readContent } from './repository.ts'

/** A manifest of a repository, once with all of its tags. */
export interface PushedImage {
  /** of the repository */
  name: string
  /** empty: only its digest names it */
  tags: string[]
  digest: Digest
  mediaType: string
  /** bytes of the manifest and of all that it refers to, each once; layers of a bundle included */
  size: number
  /** when it was pushed last, ISO 8601; empty where that is not known */
  pushed: string
  /** of an index that is listed, too: images of several platforms, for example */
  partOf: Digest[]
  /** what it was attached to, a signature for example */
  subject: Digest | null
}

/** Reads which images were pushed, whether the servers run or not. Repositories that cannot be read are named. */
export async function pushedImages(folder: string): Promise<{ images: PushedImage[]; unreadable: string[] }> {
  const paths = overlayFolder(folder)
  const images: PushedImage[] = []
  const unreadable: string[] = []
  for (const entry of (await readdir(paths.repositories).catch(() => [])).sort()) {
    const name = nameOfFolder(entry)
    if (name === undefined) continue
    try {
      const content = await readContent(paths.repository(name), { paths, damaged: () => {} })
      images.push(...imagesIn(content).map(image => ({ name, ...image })))
    } catch {
      unreadable.push(name)
    }
  }
  return { images, unreadable }
}

/** Returns the images of one repository, those that were pushed last first. */
export function imagesIn({ tags, manifests }: RepositoryContent): Omit<PushedImage, 'name'>[] {
  const tagsOf = new Map<Digest, string[]>()
  for (const [tag, digest] of tags) tagsOf.set(digest, [...(tagsOf.get(digest) ?? []), tag])
  const parents = new Map<Digest, Digest[]>()
  for (const { descriptor, children } of manifests.values())
    for (const { digest } of children)
      parents.set(digest, [...(parents.get(digest) ?? []), descriptor.digest])
  const listed = [...manifests.values()].map(({ descriptor, at, subject }) => ({
    tags: (tagsOf.get(descriptor.digest) ?? []).sort(),
    digest: descriptor.digest,
    mediaType: descriptor.mediaType,
    size: sizeOf(descriptor.digest, manifests),
    pushed: at,
    partOf: parents.get(descriptor.digest) ?? [],
    subject: subject ?? null,
  }))
  return listed.sort((a, b) => (a.pushed < b.pushed ? 1 : a.pushed > b.pushed ? -1 : 0))
}

function sizeOf(digest: Digest, manifests: RepositoryContent['manifests']): number {
  const sizes = new Map<Digest, number>()
  const add = (digest: Digest, size: number) => {
    if (sizes.has(digest)) return
    sizes.set(digest, size)
    const record = manifests.get(digest)
    for (const one of [...(record?.blobs ?? []), ...(record?.children ?? [])]) add(one.digest, one.size)
  }
  add(digest, manifests.get(digest)?.descriptor.size ?? 0)
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

/** Names pushed content as people write it. */
export interface ImageName {
  /** as it was written */
  text: string
  /** the repository, and the same without the host with which the text may begin */
  names: string[]
  reference: { tag: string } | { digest: Digest }
}

/** Parses `team/app:1`, `team/app@sha256:…`, `10.0.0.10:35000/team/app:1`. Throws USAGE. */
export function parseImageName(text: string): ImageName {
  const [, path = '', tag, digest] = /^([^@]*?)(?::([^:/@]+))?(?:@(.+))?$/.exec(text) ?? []
  const inside = path.includes('/') ? path.slice(path.indexOf('/') + 1) : ''
  const isHost = /[.:]|^localhost$/.test(path.split('/', 1)[0] ?? '')
  const names = [path, ...(isHost ? [inside] : [])].filter(isRepository)
  const reference =
    digest === undefined ? isTag(tag ?? '') && { tag: tag ?? '' } : isDigest(digest) && { digest }
  if (names.length > 0 && reference) return { text, names, reference }
  throw new AirgapError('USAGE', 'this does not name a pushed image', {
    item: text.slice(0, 300),
    next: 'write it as NAME:TAG or NAME@sha256:…, as `offline-deploy images list` shows it',
  })
}
