import { isImageText, withTag } from './references/image-text.ts'

/** Annotations of a Chart.yaml that list its images: of Artifact Hub and of Bitnami. */
const names = ['artifacthub.io/images', 'images']

/** Returns the images that a chart declares in its annotations, including optional ones, as written there. */
export function annotatedImages(chart: { annotations?: unknown }): string[] {
  const { annotations } = chart
  if (typeof annotations !== 'object' || annotations === null) return []
  const texts = names.flatMap(name => {
    const text = (annotations as Record<string, unknown>)[name]
    return typeof text === 'string' ? [text] : []
  })
  // a YAML list; only one key of each entry is needed
  const found = texts.flatMap(text => [
    ...text.matchAll(/^[ \t]*(?:-[ \t]*)?image:[ \t]*["']?([^\s"'#]{1,500})/gm),
  ])
  return [
    ...new Set(
      found
        .map(([, image]) => image!)
        .filter(isImageText)
        .map(withTag),
    ),
  ]
}
