import type { DebPin } from '../../../../src/kinds/deb/pin.ts'
import type { WorldPackage, WorldSuite } from './world.ts'

export interface WorldShape {
  packages: number
  /** Conflicts and Breaks */
  conflicts?: boolean
  /** i386 beside amd64, and Multi-Arch fields */
  foreign?: boolean
  /** a stable suite, its updates, backports, another origin; pins */
  suites?: boolean
  /** some packages are installed, in some version */
  base?: boolean
}

export interface World {
  suites: Record<string, WorldSuite>
  pins: DebPin[]
  installed: WorldPackage[]
  requests: string[][]
}

const releases: Record<string, Record<string, string>> = {
  stable: { Origin: 'Test' },
  'stable-updates': { Origin: 'Test' },
  'stable-backports': { Origin: 'Test', NotAutomatic: 'yes', ButAutomaticUpgrades: 'yes' },
  vendor: { Origin: 'Vendor' },
}

/** Packages that depend on, refuse and provide each other at random: far denser than any real archive. */
export function randomWorld(random: () => number, shape: WorldShape): World {
  const below = (limit: number) => Math.floor(random() * limit)
  const chance = (percent: number) => random() * 100 < percent
  const pick = <T>(from: readonly T[]): T => from[below(from.length)]!
  const names = Array.from({ length: shape.packages }, (_, i) => `p${i}`)
  const virtual = ['v0', 'v1', 'v2']
  const operators = ['>=', '>=', '<<', '=', '<=', '>>']
  const version = () => String(1 + below(3))

  const relation = (percentVersioned: number) => {
    const name = chance(15) ? pick(virtual) : pick(names)
    const qualifier = shape.foreign && chance(10) ? pick([':any', ':any', ':i386']) : ''
    return chance(percentVersioned)
      ? `${name}${qualifier} (${pick(operators)} ${version()})`
      : name + qualifier
  }
  const group = () => Array.from({ length: chance(25) ? 2 + below(2) : 1 }, () => relation(15)).join(' | ')
  const list = (limit: number) => Array.from({ length: below(limit + 1) }, group).join(', ')
  const some = (percent: number, text: () => string) => (chance(percent) ? text() : '')

  const packageOf = (name: string, architecture: string, ofVersion: string): WorldPackage => {
    const fields = {
      depends: list(2),
      preDepends: some(10, group),
      recommends: some(35, group),
      suggests: some(10, () => pick(names)),
      provides: some(25, () => (chance(30) ? `${pick(virtual)} (= ${version()})` : pick(virtual))),
      conflicts: shape.conflicts ? some(12, () => relation(30)) : '',
      breaks: shape.conflicts ? some(12, () => relation(50)) : '',
    }
    const given = Object.fromEntries(Object.entries(fields).filter(([, text]) => text !== ''))
    const multiArch = shape.foreign
      ? pick([undefined, undefined, 'same', 'same', 'foreign', 'allowed'] as const)
      : undefined
    return {
      name,
      version: ofVersion,
      architecture,
      priority: pick(['optional', 'optional', 'optional', 'standard', 'extra']),
      ...given,
      // Architecture: all cannot be Multi-Arch: same
      ...(multiArch === undefined || (architecture === 'all' && multiArch === 'same') ? {} : { multiArch }),
    }
  }

  const suites: Record<string, WorldSuite> = {}
  for (const suite of shape.suites ? Object.keys(releases) : ['stable']) {
    const packages = names
      .filter(() => suite === 'stable' || chance(25))
      .flatMap(name => {
        const ofVersion = suite === 'stable' ? version() : String(1 + below(5))
        const architecture = chance(25) ? 'all' : 'amd64'
        const own = packageOf(name, architecture, ofVersion)
        // other architectures are built from the same source
        const other =
          shape.foreign && architecture !== 'all' && chance(85) ? [{ ...own, architecture: 'i386' }] : []
        return [own, ...other]
      })
    suites[suite] = { release: releases[suite]!, packages }
  }
  // one version of a package has one content, wherever it is
  const known = new Map<string, WorldPackage>()
  for (const suite of Object.values(suites)) {
    suite.packages = suite.packages.map(one => {
      const key = `${one.name} ${one.version} ${one.architecture}`
      const first = known.get(key) ?? one
      known.set(key, first)
      return first
    })
  }
  const everything = [...known.values()]
  const installed = new Map<string, WorldPackage>()
  if (shape.base) {
    for (let i = 0; i < shape.packages / 6; i++) {
      const one = pick(everything)
      if (one.architecture !== 'i386') installed.set(one.name, one)
    }
  }
  const pins: DebPin[] = []
  for (let i = 0; shape.suites && i < below(4); i++) {
    const priority = pick([-1, 50, 400, 600, 990, 1001])
    const what = pick(['suite', 'origin', 'version'] as const)
    pins.push({
      packages: what !== 'version' && chance(50) ? ['*'] : [pick(names), 'p1*'],
      ...(what === 'suite' ? { suite: pick(Object.keys(releases)) } : {}),
      ...(what === 'origin' ? { origin: 'Vendor' } : {}),
      ...(what === 'version' ? { version: `${version()}*` } : {}),
      priority,
    })
  }
  const requests = Array.from({ length: 6 }, () => {
    const chosen = Array.from({ length: 1 + below(3) }, () => {
      const one = pick(everything)
      if (one.architecture === 'i386') return `${one.name}:i386`
      if (shape.suites && chance(10)) return `${one.name}=${one.version}`
      return one.name
    })
    return [...new Set(chosen)].sort()
  })
  return { suites, pins, installed: [...installed.values()], requests }
}

/** apt_preferences(5) */
export function preferencesOf(pins: DebPin[]): string {
  return pins
    .map(({ packages, version, priority, host, ...by }) => {
      const keys: Record<keyof typeof by, string> = {
        suite: 'a',
        archive: 'a',
        codename: 'n',
        origin: 'o',
        label: 'l',
        component: 'c',
        releaseVersion: 'v',
      }
      const release = Object.entries(by).map(([key, value]) => `${keys[key as keyof typeof by]}=${value}`)
      const pin =
        version !== undefined
          ? `version ${version}`
          : host !== undefined
            ? `origin ${host}`
            : `release ${release.join(', ')}`
      return `Package: ${packages.join(' ')}\nPin: ${pin}\nPin-Priority: ${priority}\n`
    })
    .join('\n')
}
