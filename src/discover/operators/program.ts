import type { Defaults, OperatorRules } from './rule.ts'
import type { Settings } from './settings.ts'

/** The image of an operator, whose tag says which defaults it has. */
export interface Program {
  image: string
  /** everything before the last part of the name: `quay.io/minio` */
  folder: string
  tag: string
  /** the version in the tag, without v: of `alpine-v17.5.0` 17.5.0 */
  version: string
  /** its first numbers: of `9.1.0-2.2.2` 9.1.0 */
  numbers: string
}

/** Returns the operator's own image in this environment; undefined if it is not here or has no tag. */
export function programOf(
  { program }: Pick<OperatorRules, 'program'>,
  { images }: Settings,
): Program | undefined {
  const names = program === undefined ? [] : [program].flat()
  for (const image of images) {
    const [name = ''] = image.split('@')
    const colon = name.lastIndexOf(':')
    if (colon <= name.lastIndexOf('/')) continue
    const [repository, tag] = [name.slice(0, colon), name.slice(colon + 1)]
    if (!names.some(name => repository === name || repository.endsWith(`/${name}`))) continue
    const folder = repository.slice(0, Math.max(0, repository.lastIndexOf('/')))
    const version = tag.replace(/^(?:[a-z]+-)*v?(?=\d)/, '')
    return { image, folder, tag, version, numbers: numbersOf(version)?.join('.') ?? version }
  }
  return undefined
}

/** Returns the first two numbers in the tag of another image: those of its release series. */
export function minorOf(program: string, settings: Settings): string | undefined {
  const found = programOf({ program }, settings)
  const [major, minor] = (found && numbersOf(found.version)) ?? []
  return minor === undefined ? undefined : `${major}.${minor}`
}

/** Returns what is compiled into this version of the operator; undefined if that is not known. */
export function defaultOf(
  defaults: Defaults | undefined,
  { program, knownTo }: { program: Program | undefined; knownTo: string | undefined },
): string | undefined {
  const version = program && numbersOf(program.version)
  if (defaults === undefined || version === undefined) return undefined
  if (knownTo !== undefined && isOlder(numbersOf(knownTo) ?? [], version)) return undefined
  return Object.entries(defaults).findLast(([from]) => !isOlder(version, numbersOf(from) ?? []))?.[1]
}

/** The numbers alone: `1.2.3-ubi8`, `v1.2.3-debian-12-r0` and `1.2.3` have the same defaults. */
export function numbersOf(text: string): number[] | undefined {
  const numbers = /^v?(\d+(?:\.\d+){0,3})/.exec(text)?.[1]
  return numbers?.split('.').map(Number)
}

/** Whether `a` is before `b`; missing numbers are 0. */
export function isOlder(a: readonly number[], b: readonly number[]): boolean {
  for (const i of [0, 1, 2, 3]) {
    const [first = 0, second = 0] = [a[i], b[i]]
    if (first !== second) return first < second
  }
  return false
}
