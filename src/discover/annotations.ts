import { isImageText, withTag } from './image-text.ts'

/** Annotations of a Chart.yaml that list its images: Artifact Hub's, and Bitnami's own. */
const names = ['artifacthub.io/images', 'images']

/** The images that a chart says it may use, optional ones too; as they are written there. */
export function annotatedImages(chart: { annotations?: unknown }): string[] {
  const { annotations } = chart
  if (typeof annotations !== 'object' || annotations === null) return []
  const texts = names.flatMap(name => {
    const text = (annotations as Record<string, unknown>)[name]
    return typeof text === 'string' ? [text] : []
  })
  // a list in YAML, of which one key of each entry counts
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
