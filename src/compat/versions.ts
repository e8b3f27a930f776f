import type { Versions } from './check.ts'
import type { Compatibility } from './schema.ts'

/** The parts of a stack that contain versions. */
export interface StackContent {
  /** full references */
  images: readonly string[]
  charts: readonly { name: string; version: string }[]
  /** locked Python distributions */
  wheels: readonly { project: string; version: string }[]
  /** what the manifest declares under `versions:` */
  declared: Readonly<Record<string, string>>
}

/** Returns the version of each component that the stack contains; of several tags of an image, the first. */
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
