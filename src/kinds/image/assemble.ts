import type { Artifact, PlannedBlob } from '../../content/artifact.ts'
import type { Digest } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { annotationKeys } from '../../core/media-types.ts'
import { formatReference, parseReference } from '../../core/reference.ts'
import type { LockedImage } from './locked.ts'

/** Native artifacts: everything passes through byte for byte. A referrer becomes a separate root, named by its digest or its tag. */
export function assembleImages(images: LockedImage[]): Artifact[] {
  refuseTwoDigests(images)
  return images.flatMap(image => {
    const blobs: PlannedBlob[] = [
      ...image.manifests.map(descriptor => ({
        descriptor,
        sources: [{ type: 'registry' as const, name: image.from, as: 'manifest' as const }],
        front: true,
      })),
      ...image.blobs.map(({ urls, ...descriptor }) => ({
        descriptor,
        sources: [
          { type: 'registry' as const, name: image.from, as: 'blob' as const },
          ...(urls ?? []).map(url => ({ type: 'url' as const, url })),
        ],
      })),
    ]
    const root = (digest: Digest, name: string) => {
      const descriptor = image.manifests.find(manifest => manifest.digest === digest)!
      return {
        ...descriptor,
        annotations: { [annotationKeys.refName]: name, [annotationKeys.kind]: 'image' },
      }
    }
    const { host, repository } = parseReference(image.name)
    const tags = Object.entries(image.referrerTags ?? {})
    const tagged = new Set(tags.map(([, digest]) => digest))
    const attached = [
      // without the tag, which is the name of the image itself
      ...(image.referrers ?? [])
        .filter(digest => !tagged.has(digest))
        .map(digest => root(digest, formatReference({ host, repository, digest }))),
      ...tags.map(([tag, digest]) => root(digest, formatReference({ host, repository, tag }))),
    ]
    return [
      { root: root(image.digest, image.name), inline: [], blobs },
      ...attached.map(root => ({ root, inline: [], blobs: [] })),
    ]
  })
}

/** The site serves a tag with one digest: `x:1` and `x:1@sha256:…` may both be requested where they are the same image. */
function refuseTwoDigests(images: LockedImage[]): void {
  const tags = new Map<string, LockedImage>()
  for (const image of images) {
    const { digest: _, ...tagged } = parseReference(image.name)
    if (tagged.tag === undefined) continue
    const tag = formatReference(tagged)
    const other = tags.get(tag)
    if (other !== undefined && other.digest !== image.digest) {
      throw new AirgapError('NAME_COLLISION', `one tag, two images: ${other.digest} and ${image.digest}`, {
        item: `${other.name} and ${image.name}`,
        likely: 'the tag has moved since the digest was written down',
        next: 'keep one of them in the manifest, or leave the tag out of one',
      })
    }
    tags.set(tag, image)
  }
}
