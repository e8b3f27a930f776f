import { type Environment, evaluate, type Marker } from './marker.ts'
import { parseSpecifiers, satisfies } from './specifier.ts'
import { machineOf, type Target } from './tags.ts'
import { parseVersion } from './version.ts'

/**
 * A machine's Python is known as `3.11`, not as `3.11.7`: what the oldest or the newest patch release needs is carried, so that
 * nothing is missing with either.
 */
const patches = ['0', '99']

export function environmentsOf(target: Target): Environment[] {
  return patches.map(patch => ({
    os_name: 'posix',
    sys_platform: 'linux',
    platform_machine: machineOf(target),
    platform_python_implementation: 'CPython',
    platform_release: '',
    platform_system: 'Linux',
    platform_version: '',
    python_version: target.python,
    python_full_version: `${target.python}.${patch}`,
    implementation_name: 'cpython',
    implementation_version: `${target.python}.${patch}`,
  }))
}

/** `extras`: the requested extras of the package that has the requirement. */
export function isWanted(
  marker: Marker | undefined,
  { environments, extras }: { environments: readonly Environment[]; extras: ReadonlySet<string> },
): boolean {
  if (marker === undefined) return true
  return environments.some(environment =>
    ['', ...extras].some(extra => evaluate(marker, { ...environment, extra })),
  )
}

/**
 * `Requires-Python`: a lower bound must hold for the oldest patch release (`>=3.11.5` excludes Debian's 3.11.2), everything else for
 * the newest (`!=3.9.0` does not exclude 3.9). An unreadable specifier excludes nothing, as in pip.
 */
export function takesPython(requires: string | undefined, target: Target): boolean {
  const specifiers = requires === undefined ? [] : parseSpecifiers(requires)
  if (specifiers === undefined) return true
  const [oldest, newest] = patches.map(patch => parseVersion(`${target.python}.${patch}`)!)
  return specifiers.every(specifier =>
    satisfies(['>=', '>', '~='].includes(specifier.operator) ? oldest! : newest!, specifier),
  )
}
