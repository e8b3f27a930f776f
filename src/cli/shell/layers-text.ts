import { compareText } from '../../core/canonical-json.ts'
import type { ImageContent } from '../../layers/installed.ts'

const shownNotRead = 10

/** The packages inside images, image by image: type, name, version, architecture. */
export function layersText(images: readonly ImageContent[]): string[] {
  if (images.length === 0) return ['no images']
  return images.flatMap((image, i) => [...(i === 0 ? [] : ['']), ...imageText(image)])
}

function imageText({ name, platform, os, packages, notRead }: ImageContent): string[] {
  const rows = [
    ...new Set(
      packages.map(({ type, name: one, version, epoch, architecture }) =>
        [type.padEnd(8), one, epoch === undefined ? version : `${epoch}:${version}`, architecture ?? '']
          .join('  ')
          .trimEnd(),
      ),
    ),
  ].sort(compareText)
  const about = [platform, os?.prettyName ?? os?.id, `${rows.length} packages`].filter(Boolean).join(', ')
  const unread = notRead
    .slice(0, shownNotRead)
    .map(({ layer, path, reason }) => `  not read: ${[path ?? layer, reason].filter(Boolean).join(': ')}`)
  const more = notRead.length - unread.length
  return [
    `${name}  (${about})`,
    ...unread,
    ...(more > 0 ? [`  not read: ${more} more (-o json lists them)`] : []),
    ...rows.map(row => `  ${row}`),
  ]
}
