import type { Candidate } from './candidate.ts'
import { versionMatcher } from './expression.ts'
import type { PackageList } from './package-list.ts'
import { type DebPin, type FitsSource, type PolicySource, pinPackage, pinSource } from './pin.ts'

export type PriorityOf = (candidate: Candidate) => number

/** apt's priority of a phased update that is held back. */
const heldBack = 1

/** A pin, compiled. */
interface CompiledPin {
  pin: DebPin
  /** `*`: it rates sources, not packages */
  isGeneral: boolean
  fitsPackage(candidate: Candidate): boolean
  fitsVersion(version: string): boolean
  fitsSource: FitsSource
}

/** Throws MANIFEST_INVALID for an invalid regular expression. */
export function compilePins(pins: readonly DebPin[], native: string): CompiledPin[] {
  return pins.map(pin => {
    const names = pin.packages.filter(name => name !== '*').map(name => pinPackage(name, native))
    return {
      pin,
      isGeneral: pin.packages.includes('*') && pin.version === undefined,
      fitsPackage: candidate => names.some(fits => fits(candidate)),
      fitsVersion: pin.version === undefined ? () => true : versionMatcher(pin.version),
      fitsSource: pinSource(pin),
    }
  })
}

/**
 * Priorities as in apt_preferences(5): the first pin with package names that matches the version; otherwise the highest of
 * the sources that have it, where each source is rated by the first general pin (`*`) that matches it, by its own `priority`,
 * or by its Release file.
 *
 * Phased updates (`Phased-Update-Percentage` below 100) are held back, as by apt's `Never-Include-Phased-Updates`: whether a
 * machine installs one depends on its machine-id, which is unknown while locking.
 */
export function priorities(sources: PolicySource[], pins: DebPin[], native = 'amd64'): PriorityOf {
  const compiled = compilePins(pins, native)
  const general = compiled.filter(one => one.isGeneral)
  const known = new Map<string, number>()
  const ofSource = (index: number, component: string): number => {
    const key = `${index} ${component}`
    const source = sources[index]
    const priority =
      known.get(key) ??
      (source === undefined
        ? 500
        : (general.find(one => one.fitsSource(source, component))?.pin.priority ??
          source.priority ??
          defaultOf(source)))
    known.set(key, priority)
    return priority
  }
  return candidate => {
    const indexes = sourcesOf(candidate)
    const pin = compiled.find(
      one =>
        one.fitsPackage(candidate) &&
        one.fitsVersion(candidate.version) &&
        isFromFitting(one, candidate, sources),
    )?.pin
    const priority = pin?.priority ?? Math.max(...indexes.map(i => ofSource(i, candidate.component)))
    return candidate.phased === undefined ? priority : Math.min(priority, heldBack)
  }
}

function sourcesOf({ source, alsoIn = [] }: Candidate): number[] {
  return [source, ...alsoIn]
}

function isFromFitting(
  { pin, fitsSource }: CompiledPin,
  candidate: Candidate,
  sources: PolicySource[],
): boolean {
  return sourcesOf(candidate).some(i => {
    const source = sources[i]
    // the base system has a version that no source offers now
    return source === undefined ? pin.version !== undefined : fitsSource(source, candidate.component)
  })
}

/** The pins that fit nothing here, with the reason. apt ignores them silently, and installs another version. */
export function unusedPins(
  pins: readonly DebPin[],
  { sources, lists, native }: { sources: PolicySource[]; lists: readonly PackageList[]; native: string },
): Map<DebPin, string> {
  const unused = new Map<DebPin, string>()
  if (pins.length === 0) return unused
  const candidates = lists.flatMap(list => [...list.all()])
  for (const one of compilePins(pins, native)) {
    const why = whyUnused(one, { sources, candidates })
    if (why !== undefined) unused.set(one.pin, why)
  }
  return unused
}

function whyUnused(
  one: CompiledPin,
  { sources, candidates }: { sources: PolicySource[]; candidates: Candidate[] },
): string | undefined {
  const { pin } = one
  if (pin.packages.includes('*') && pin.version !== undefined)
    return 'apt_preferences(5): a pin by version names packages; * is none'
  const fitting = candidates.filter(candidate => isFromFitting(one, candidate, sources))
  if (fitting.length === 0) return 'no source fits it'
  if (one.isGeneral) return undefined
  const named = candidates.filter(one.fitsPackage)
  if (named.length === 0) return 'no package fits it'
  if (!named.some(candidate => one.fitsVersion(candidate.version))) {
    const versions = [...new Set(named.map(({ name, version }) => `${name} ${version}`))].slice(0, 5)
    return `no version fits it; available: ${versions.join(', ')}`
  }
  const isUsed = fitting.some(candidate => one.fitsPackage(candidate) && one.fitsVersion(candidate.version))
  return isUsed ? undefined : 'the sources that fit it do not have these packages'
}

/** apt_preferences(5), "APT's Default Priority Assignments". */
function defaultOf({ release }: PolicySource): number {
  if (isYes(release.ButAutomaticUpgrades)) return 100
  return isYes(release.NotAutomatic) ? 1 : 500
}

function isYes(text: string | undefined): boolean {
  return /^(?:yes|true|with|on|enable|1)$/i.test(text ?? '')
}
