import type { Artifact, PlannedBlob } from '../../content/artifact.ts'
import { annotationKeys } from '../../core/media-types.ts'
import type { LockedImage } from './locked.ts'

/** Native artifacts: everything passes through byte for byte. A referrer becomes a root of its own, named by its digest. */
export function assembleImages(images: LockedImage[]): Artifact[] {
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
    const root = (digest: string, name: string) => {
      const descriptor = image.manifests.find(manifest => manifest.digest === digest)!
      return {
        ...descriptor,
        annotations: { [annotationKeys.refName]: name, [annotationKeys.kind]: 'image' },
      }
    }
    const repository = image.name.replace(/(@.*|:[^/:]*)$/, '')
    return [
      { root: root(image.digest, image.name), inline: [], blobs },
      ...(image.referrers ?? []).map(digest => ({
        root: root(digest, `${repository}@${digest}`),
        inline: [],
        blobs: [],
      })),
    ]
  })
}
