import { globMatcher } from '../../core/glob.ts'
import type { Candidate } from './candidate.ts'
import type { DebPin } from './entry.ts'

/** What pins can match in a source (apt_preferences(5)). */
export interface PolicySource {
  /** as written in the manifest */
  suite: string
  /** `Suite`, `Codename`, `Origin`, `NotAutomatic`, … of its Release file */
  release: Record<string, string>
  priority?: number
}

export type PriorityOf = (candidate: Candidate) => number

/** apt's priority of a phased update that is held back. */
const heldBack = 1

/**
 * Priorities as in apt_preferences(5): the first pin with package names that matches the version; otherwise the highest of
 * the sources that have it, where each source is rated by the first general pin (`*`) that matches it, by its own `priority`,
 * or by its Release file.
 *
 * Phased updates (`Phased-Update-Percentage` below 100) are held back, as by apt's `Never-Include-Phased-Updates`: whether a
 * machine installs one depends on its machine-id, which is unknown while locking.
 */
export function priorities(sources: PolicySource[], pins: DebPin[]): PriorityOf {
  const general = pins.filter(pin => pin.packages.includes('*') && pin.version === undefined)
  const named = pins
    .map(pin => ({ pin, names: pin.packages.filter(name => name !== '*') }))
    .filter(({ names }) => names.length > 0)
    .map(({ pin, names }) => ({
      pin,
      fitsName: anyOf(names),
      fitsVersion: pin.version === undefined ? undefined : globMatcher(pin.version),
    }))
  const ofSource = sources.map(source => {
    const pin = general.find(one => fitsSource(one, source))
    return pin?.priority ?? source.priority ?? defaultOf(source)
  })
  return candidate => {
    const indexes = [candidate.source, ...(candidate.alsoIn ?? [])]
    const pin = named.find(
      ({ pin, fitsName, fitsVersion }) =>
        fitsName(candidate.name) &&
        (fitsVersion?.(candidate.version) ?? indexes.some(i => fitsSource(pin, sources[i]!))),
    )?.pin
    const priority = pin?.priority ?? Math.max(...indexes.map(i => ofSource[i] ?? 500))
    return candidate.phased === undefined ? priority : Math.min(priority, heldBack)
  }
}

/** apt_preferences(5), "APT's Default Priority Assignments". */
function defaultOf({ release }: PolicySource): number {
  if (isYes(release.ButAutomaticUpgrades)) return 100
  return isYes(release.NotAutomatic) ? 1 : 500
}

function isYes(text: string | undefined): boolean {
  return /^(?:yes|true|with|on|enable|1)$/i.test(text ?? '')
}

/** `Pin: release a=…, o=…`; without either it matches every source. */
function fitsSource(pin: DebPin, { suite, release }: PolicySource): boolean {
  const { suite: wanted, origin } = pin
  if (wanted !== undefined) {
    const fits = globMatcher(wanted)
    if (![suite, release.Suite, release.Codename].some(name => name !== undefined && fits(name))) return false
  }
  return origin === undefined || globMatcher(origin)(release.Origin ?? '')
}

function anyOf(patterns: string[]): (text: string) => boolean {
  const matchers = patterns.map(pattern => globMatcher(pattern))
  return text => matchers.some(fits => fits(text))
}
