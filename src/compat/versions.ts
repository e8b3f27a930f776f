import type { Versions } from './check.ts'
import type { Compatibility } from './schema.ts'

/** What a stack holds, as far as versions stand in it. */
export interface StackContent {
  /** fully spelled references */
  images: readonly string[]
  charts: readonly { name: string; version: string }[]
  /** Python distributions that are locked */
  wheels: readonly { project: string; version: string }[]
  /** what the manifest declares under `versions:` */
  declared: Readonly<Record<string, string>>
}

/** The version of each component that the stack tells. Of several tags of one image the first counts. */
export function versionsOf({ components }: Compatibility, stack: StackContent): Versions {
  const versions = new Map<string, string>()
  for (const [name, { image, chart, wheel }] of Object.entries(components)) {
    const version =
      (Object.hasOwn(stack.declared, name) ? stack.declared[name] : undefined) ??
      tagOf(stack.images, image) ??
      stack.charts.find(one => one.name === chart)?.version ??
      stack.wheels.find(one => one.project === wheel)?.version
    if (version !== undefined) versions.set(name, version)
  }
  return versions
}

function tagOf(images: readonly string[], repository: string | undefined): string | undefined {
  if (repository === undefined) return undefined
  return images
    .find(image => image.startsWith(`${repository}:`))
    ?.slice(repository.length + 1)
    .split('@')[0]
}
