/** File names of wheels (PEP 427, PEP 425), and which of them a Python accepts. */

export interface WheelName {
  /** as written; compare it normalised */
  project: string
  version: string
  /** `1`, `2abc`: the later build wins; '' without */
  build: string
  /** pythons, ABIs and platforms, as written: `py2.py3-none-any` */
  tags: string
}

const maxTags = 1000

/** Returns undefined where the name is not that of a wheel. */
export function parseWheelName(filename: string): WheelName | undefined {
  if (!filename.endsWith('.whl')) return undefined
  const parts = filename.slice(0, -4).split('-')
  if (parts.length !== 5 && parts.length !== 6) return undefined
  const [project, version, ...rest] = parts
  const build = rest.length === 4 ? rest.shift()! : ''
  if (!project || !version || (build !== '' && !/^\d/.test(build))) return undefined
  return { project, version, build, tags: rest.join('-') }
}

/** Every tag that a wheel is for: `py2-none-any`, `py3-none-any`. */
export function* tagsOf({ tags }: Pick<WheelName, 'tags'>): Generator<string> {
  const [pythons, abis, platforms] = tags.split('-').map(part => part.split('.'))
  let left = maxTags
  for (const python of pythons!)
    for (const abi of abis!)
      for (const platform of platforms!) if (left-- > 0) yield `${python}-${abi}-${platform}`
}

/** A Python on a machine: `{python: '3.11', platform: 'manylinux_2_28_x86_64'}`. */
export interface Target {
  python: string
  platform: string
}

export function targetName({ python, platform }: Target): string {
  return `cp${python.replace('.', '')}-${platform}`
}

/** Tag → its rank in CPython's order of preference, 0 being the best (packaging.tags, "cpython_tags", "compatible_tags"). */
export function supportedTags({ python, platform }: Target): Map<string, number> {
  const minor = Number(python.split('.')[1])
  const platforms = platformTags(platform)
  const own = `cp3${minor}`
  const order = new Map<string, number>()
  const add = (tag: string) => {
    if (!order.has(tag)) order.set(tag, order.size)
  }
  for (const abi of [own, 'abi3', 'none']) for (const one of platforms) add(`${own}-${abi}-${one}`)
  for (let older = minor - 1; older >= 2; older--) for (const one of platforms) add(`cp3${older}-abi3-${one}`)
  const versions = [`py3${minor}`, 'py3', ...Array.from({ length: minor }, (_, i) => `py3${minor - 1 - i}`)]
  for (const version of versions) for (const one of platforms) add(`${version}-none-${one}`)
  add(`${own}-none-any`)
  for (const version of versions) add(`${version}-none-any`)
  return order
}

/** PEP 600: a newer glibc accepts what was built for an older one; with the legacy names of PEP 513, 571 and 599. */
function platformTags(platform: string): string[] {
  const many = /^manylinux_(\d+)_(\d+)_(.+)$/.exec(platform)
  if (many !== null) {
    const [, major, minor, machine] = many
    const legacy = new Map([
      [17, 'manylinux2014'],
      [12, 'manylinux2010'],
      [5, 'manylinux1'],
    ])
    // manylinux for other machines than Intel's begins with glibc 2.17
    const oldest = machine === 'x86_64' || machine === 'i686' ? 5 : 17
    const tags: string[] = []
    for (let one = Number(minor); one >= oldest; one--) {
      tags.push(`manylinux_${major}_${one}_${machine}`)
      const name = legacy.get(one)
      if (name !== undefined) tags.push(`${name}_${machine}`)
    }
    return [...tags, `linux_${machine}`]
  }
  const musl = /^musllinux_(\d+)_(\d+)_(.+)$/.exec(platform)
  if (musl !== null) {
    const [, major, minor, machine] = musl
    const tags = Array.from(
      { length: Number(minor) + 1 },
      (_, i) => `musllinux_${major}_${Number(minor) - i}_${machine}`,
    )
    return [...tags, `linux_${machine}`]
  }
  return [platform]
}

export function machineOf({ platform }: Target): string {
  return /(x86_64|i686|aarch64|armv7l|ppc64le|s390x|riscv64)$/.exec(platform)?.[1] ?? 'x86_64'
}

/** The best place of any of the wheel's tags; undefined where the target takes none of them. */
export function rankOf(
  wheel: Pick<WheelName, 'tags'>,
  supported: ReadonlyMap<string, number>,
): number | undefined {
  let best: number | undefined
  for (const tag of tagsOf(wheel)) {
    const rank = supported.get(tag)
    if (rank !== undefined && (best === undefined || rank < best)) best = rank
  }
  return best
}
