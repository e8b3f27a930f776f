import { globMatcher } from '../core/glob.ts'
import type { Versions } from './check.ts'
import type { Compatibility } from './schema.ts'

/** The parts of a stack that contain versions. */
export interface StackContent {
  /** full references */
  images: readonly string[]
  charts: readonly { name: string; version: string }[]
  /** locked Python distributions */
  wheels: readonly { project: string; version: string }[]
  /** locked OS packages, with the version of their publisher: no epoch, no release */
  packages: readonly { name: string; version: string }[]
  /** what the manifest declares under `versions:` */
  declared: Readonly<Record<string, string>>
}

/** Returns the version of each component that the stack contains; of several tags of an image, the first. */
export function versionsOf(rules: Compatibility, stack: StackContent): Versions {
  const versions = new Map<string, string>()
  for (const name of Object.keys(rules.components)) {
    const version = declaredVersion(stack, name) ?? carriedVersions(rules, { stack, name })[0]
    if (version !== undefined) versions.set(name, version)
  }
  return versions
}

/** A version under `versions:` of the manifest that what the stack carries does not have. */
export interface FalseClaim {
  component: string
  declared: string
  /** the versions that are carried instead */
  carried: string[]
}

/** Returns the declared versions that differ from what is carried; a declared `535` covers 535.129.03. */
export function falseClaims(rules: Compatibility, stack: StackContent): FalseClaim[] {
  return Object.keys(rules.components).flatMap(component => {
    const declared = declaredVersion(stack, component)
    if (declared === undefined) return []
    const carried = carriedVersions(rules, { stack, name: component }).filter(one => !covers(declared, one))
    return carried.length === 0 ? [] : [{ component, declared, carried }]
  })
}

function declaredVersion({ declared }: StackContent, name: string): string | undefined {
  return Object.hasOwn(declared, name) ? declared[name] : undefined
}

function carriedVersions(
  { components }: Compatibility,
  { stack, name }: { stack: StackContent; name: string },
): string[] {
  const { image, chart, wheel, packages = [] } = components[name] ?? {}
  const matchers = packages.map(pattern => globMatcher(pattern))
  const versions = [
    ...tagsOf(stack.images, image),
    ...stack.charts.filter(one => one.name === chart).map(one => one.version),
    ...stack.wheels.filter(one => one.project === wheel).map(one => one.version),
    ...stack.packages.filter(one => matchers.some(matches => matches(one.name))).map(one => one.version),
  ]
  return [...new Set(versions)]
}

function covers(declared: string, carried: string): boolean {
  const bare = (version: string) => version.replace(/^v(?=\d)/, '')
  const [short, whole] = [bare(declared), bare(carried)]
  return whole.startsWith(short) && !/^\d/.test(whole.slice(short.length))
}

function tagsOf(images: readonly string[], repository: string | undefined): string[] {
  if (repository === undefined) return []
  return images
    .filter(image => image.startsWith(`${repository}:`))
    .map(image => image.slice(repository.length + 1).split('@')[0]!)
}
