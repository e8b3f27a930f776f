import type { Candidate } from './candidate.ts'
import { expressionMatcher, isExpression, versionMatcher } from './expression.ts'
import { sourceOf } from './source-package.ts'

/** apt_preferences(5): the priority of some packages, from some source or in some version. */
export interface DebPin {
  /** names, patterns, `/regular expression/`, `name:architecture`, `src:name` */
  packages: string[]
  /** as apt's `Pin: version`: with `*` or as a regular expression; so are all below */
  version?: string
  /** suite or codename, as apt's `Pin: release a=` or `n=`; also the suite as written in the manifest */
  suite?: string
  /** `Pin: release a=` */
  archive?: string
  /** `Pin: release n=` */
  codename?: string
  /** `Pin: release o=`, or a host */
  origin?: string
  /** `Pin: origin`: the host of the archive */
  host?: string
  /** `Pin: release l=` */
  label?: string
  /** `Pin: release c=` */
  component?: string
  /** `Pin: release v=` */
  releaseVersion?: string
  priority: number
}

/** What pins and `package/suite` can match in a source (apt_preferences(5)). */
export interface PolicySource {
  archive: string
  /** as written in the manifest */
  suite: string
  /** `Suite`, `Codename`, `Origin`, `NotAutomatic`, … of its Release file */
  release: Record<string, string>
  priority?: number
}

/** One file of a source, as apt sees it: the packages of one component. */
export type FitsSource = (source: PolicySource, component: string) => boolean

/** Throws MANIFEST_INVALID for an invalid regular expression. */
export function pinSource(pin: Omit<DebPin, 'packages' | 'priority' | 'version'>): FitsSource {
  const tests: FitsSource[] = []
  const add = (
    pattern: string | undefined,
    valuesOf: (...of: Parameters<FitsSource>) => (string | undefined)[],
  ) => {
    if (pattern === undefined) return
    const fits = expressionMatcher(pattern)
    tests.push((source, component) => valuesOf(source, component).some(value => fits(value ?? '')))
  }
  add(pin.suite, ({ suite, release }) =>
    [suite, release.Suite, release.Codename].filter(one => one !== undefined),
  )
  add(pin.archive, ({ release }) => [release.Suite])
  add(pin.codename, ({ release }) => [release.Codename])
  add(pin.label, ({ release }) => [release.Label])
  add(pin.component, (_, component) => [component])
  add(pin.host, ({ archive }) => [hostOf(archive)])
  // `Pin: release o=` and `Pin: origin`: people write either for the other, and a host is nobody's Origin
  add(pin.origin, ({ archive, release }) => [release.Origin, hostOf(archive)])
  if (pin.releaseVersion !== undefined) {
    const fits = versionMatcher(pin.releaseVersion)
    tests.push(({ release }) => fits(release.Version ?? ''))
  }
  return (source, component) => tests.every(test => test(source, component))
}

/** apt-get(8), `package/suite`: a Suite or Codename, or the version of the release (pkgVersionMatch). */
export function requestedRelease(text: string): FitsSource {
  return pinSource(/^[0-9]/.test(text) ? { releaseVersion: text } : { suite: text })
}

function hostOf(archive: string): string {
  return new URL(archive).hostname
}

/** pkgPolicy::CreatePin: `name`, a pattern, `/…/`, `name:architecture`, `src:name`; without an architecture, the native one. */
export function pinPackage(text: string, native: string): (candidate: Candidate) => boolean {
  const isSource = text.startsWith('src:')
  const rest = isSource ? text.slice('src:'.length) : text
  const mark = rest.endsWith('/') ? -1 : rest.lastIndexOf(':')
  const [name, architecture] = mark < 0 ? [rest, native] : [rest.slice(0, mark), rest.slice(mark + 1)]
  const fitsName = isExpression(name) ? expressionMatcher(name) : (other: string) => other === name
  return candidate => {
    const own = candidate.architecture === 'all' ? native : candidate.architecture
    if (architecture !== 'any' && architecture !== '*' && architecture !== own) return false
    return fitsName(isSource ? sourceOf(candidate).name : candidate.name)
  }
}
