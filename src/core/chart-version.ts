import { compare, SemVer } from 'semver'

/** Versions and constraints as helm reads them: github.com/Masterminds/semver v3, `NewVersion` and `NewConstraint`. */

export interface ChartVersion {
  /** as published */
  text: string
  /** completed: `v1.2` is 1.2.0 */
  version: SemVer
}

const numbers = String.raw`v?(\d+)(?:\.(\d+))?(?:\.(\d+))?`
const ending = String.raw`(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?`
const versionPattern = new RegExp(`^${numbers}${ending}$`)

/** `NewVersion`: with or without v, minor and patch may be missing. undefined for text that is not a version. */
export function parseChartVersion(text: string): ChartVersion | undefined {
  const match = text.length > 250 ? null : versionPattern.exec(text)
  if (match === null) return undefined
  const [, major = '', minor = '0', patch = '0', prerelease] = match
  const version = semver({ major, minor, patch, prerelease })
  return version === undefined ? undefined : { text, version }
}

/** Whether both name the same version to helm; build metadata counts. */
export function isSameVersion(a: string, b: string): boolean {
  const [first, second] = [parseChartVersion(a), parseChartVersion(b)]
  if (first === undefined || second === undefined) return a === b
  return compare(first.version, second.version) === 0 && buildOf(a) === buildOf(b)
}

function buildOf(text: string): string {
  const plus = text.indexOf('+')
  return plus < 0 ? '' : text.slice(plus + 1)
}

/** The newest first, those that are not versions last; equal ones keep their order. */
export function newestFirst(a: string, b: string): number {
  const [first, second] = [parseChartVersion(a), parseChartVersion(b)]
  if (first === undefined || second === undefined)
    return Number(first === undefined) - Number(second === undefined)
  return compare(second.version, first.version)
}

/**
 * Returns the entry that helm would choose: the very version, or else the newest that satisfies the constraint (`IndexFile.Get` of
 * helm.sh/helm/v3/pkg/repo). An empty constraint is any version that is not a prerelease.
 */
export function chosenByHelm<T extends { version: string }>(
  entries: readonly T[],
  constraint: string,
): T | undefined {
  const sorted = entries.toSorted((a, b) => newestFirst(a.version, b.version))
  const satisfied = parseConstraint(constraint)
  return (
    sorted.find(({ version }) => version === constraint) ??
    sorted.find(({ version }) => {
      const parsed = parseChartVersion(version)
      return parsed !== undefined && satisfied?.(parsed)
    })
  )
}

/** A test of versions. */
export type VersionConstraint = (version: ChartVersion) => boolean

const part = String.raw`(?:\d+|[xX*])`
const constraintVersion = String.raw`v?(${part})(?:\.(${part}))?(?:\.(${part}))?${ending}`
const operators = String.raw`!=|>=|=>|<=|=<|~>|>|<|=|~|\^|`
const one = new RegExp(String.raw`^(${operators})\s*${constraintVersion}$`)
const separated = new RegExp(String.raw`(?:${operators})\s*${constraintVersion}(?=\s|,|$)`, 'g')
const hyphenRange = new RegExp(
  String.raw`(v?${part}(?:\.${part}){0,2}${ending})\s+-\s+(v?${part}(?:\.${part}){0,2}${ending})`,
  'g',
)

/** `NewConstraint`; undefined for text that is not one. Without a prerelease in the constraint, no prerelease satisfies it. */
export function parseConstraint(text: string): VersionConstraint | undefined {
  if (text.length > 250) return undefined
  const alternatives: Comparison[][] = []
  for (const written of text.replace(hyphenRange, '>=$1 <=$3').split('||')) {
    const trimmed = written.trim()
    const found = trimmed === '' ? ['*'] : (trimmed.match(separated) ?? [])
    if (trimmed !== '' && trimmed.replace(separated, '').replace(/[\s,]/g, '') !== '') return undefined
    const comparisons = found.map(parseComparison)
    if (comparisons.length === 0 || comparisons.includes(undefined)) return undefined
    alternatives.push(comparisons as Comparison[])
  }
  return version => alternatives.some(all => all.every(comparison => satisfies(version.version, comparison)))
}

interface Comparison {
  operator: string
  version: SemVer
  /** first part that is x or missing; `none` where all are written */
  wildcard: 'none' | 'major' | 'minor' | 'patch'
}

function parseComparison(text: string): Comparison | undefined {
  const match = one.exec(text)
  if (match === null) return undefined
  const [, operator = '', ...written] = match
  const [major, minor, patch] = written.slice(0, 3)
  const isAny = (value: string | undefined) => value === undefined || /^[xX*]$/.test(value)
  const wildcard = isAny(major) ? 'major' : isAny(minor) ? 'minor' : isAny(patch) ? 'patch' : 'none'
  const version = semver({
    major: wildcard === 'major' ? '0' : major!,
    minor: wildcard === 'major' || wildcard === 'minor' ? '0' : minor!,
    patch: wildcard === 'none' ? patch! : '0',
    prerelease: written[3],
  })
  return version === undefined ? undefined : { operator, version, wildcard }
}

/** The `constraint…` functions of constraints.go. */
function satisfies(version: SemVer, { operator, version: bound, wildcard }: Comparison): boolean {
  const exact = wildcard === 'none'
  const hidden = version.prerelease.length > 0 && bound.prerelease.length === 0
  // `!=` lets prereleases through unless a part is open
  if (hidden && !(operator === '!=' && exact)) return false
  const order = compare(version, bound)
  const above = version.major !== bound.major ? version.major > bound.major : version.minor > bound.minor
  switch (operator) {
    case '!=':
      if (exact) return order !== 0
      if (version.major !== bound.major) return true
      return wildcard === 'patch' && version.minor !== bound.minor
    case '>':
      if (exact) return order > 0
      if (wildcard === 'patch') return above
      return version.major > bound.major || (wildcard === 'major' && order > 0)
    case '<':
      return order < 0
    case '>=':
    case '=>':
      return order >= 0
    case '<=':
    case '=<':
      if (exact) return order <= 0
      if (wildcard === 'patch') return !above
      return version.major <= bound.major
    case '~':
    case '~>':
      return isTilde(version, { bound, wildcard })
    case '^':
      return isCaret(version, { bound, wildcard })
    default:
      return exact ? order === 0 : isTilde(version, { bound, wildcard })
  }
}

interface Bound {
  bound: SemVer
  wildcard: Comparison['wildcard']
}

function isTilde(version: SemVer, { bound, wildcard }: Bound): boolean {
  if (compare(version, bound) < 0) return false
  const isZero = bound.major === 0 && bound.minor === 0 && bound.patch === 0
  if (isZero && (wildcard === 'none' || wildcard === 'major')) return true
  if (version.major !== bound.major) return false
  return wildcard === 'minor' || version.minor === bound.minor
}

function isCaret(version: SemVer, { bound, wildcard }: Bound): boolean {
  if (compare(version, bound) < 0) return false
  if (wildcard === 'major') return true
  if (bound.major > 0 || wildcard === 'minor') return version.major === bound.major
  if (version.major > 0) return false
  if (bound.minor > 0 || wildcard === 'patch') return version.minor === bound.minor
  return version.minor === 0 && version.patch === bound.patch
}

function semver(parts: {
  major: string
  minor: string
  patch: string
  prerelease: string | undefined
}): SemVer | undefined {
  const plain = (text: string) => text.replace(/^0+(?=\d)/, '')
  const { major, minor, patch, prerelease } = parts
  try {
    return new SemVer(
      `${plain(major)}.${plain(minor)}.${plain(patch)}${prerelease === undefined ? '' : `-${prerelease}`}`,
    )
  } catch {
    // larger than the numbers of a computer, or a prerelease with leading zeros
    return undefined
  }
}
