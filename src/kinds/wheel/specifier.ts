import {
  compareReleases,
  compareVersions,
  isPreRelease,
  type PythonVersion,
  parseVersion,
} from './version.ts'

/** One clause of a version specifier (PEP 440). */
export interface Specifier {
  operator: '==' | '!=' | '<=' | '>=' | '<' | '>' | '~=' | '==='
  /** `===` compares texts */
  text: string
  version?: PythonVersion
  /** `==1.4.*` */
  wildcard: boolean
}

const clause = /^\s*(===|==|!=|<=|>=|<|>|~=)\s*(\S+)\s*$/

/** `>=1.0,<2` → clauses; undefined where the text is invalid. Empty text has no clauses: every version. */
export function parseSpecifiers(text: string): Specifier[] | undefined {
  const specifiers: Specifier[] = []
  for (const part of text.split(',')) {
    if (part.trim() === '') continue
    const specifier = parseClause(part)
    if (specifier === undefined) return undefined
    specifiers.push(specifier)
  }
  return specifiers
}

function parseClause(text: string): Specifier | undefined {
  const [, operator, written] = clause.exec(text) ?? []
  if (operator === undefined || written === undefined) return undefined
  const kind = operator as Specifier['operator']
  if (kind === '===') return { operator: kind, text: written, wildcard: false }
  const wildcard = written.endsWith('.*')
  if (wildcard && kind !== '==' && kind !== '!=') return undefined
  const version = parseVersion(wildcard ? written.slice(0, -2) : written)
  if (version === undefined) return undefined
  if (wildcard && (version.dev !== undefined || version.local !== undefined)) return undefined
  if (kind === '~=' && version.release.length < 2) return undefined
  if (version.local !== undefined && kind !== '==' && kind !== '!=') return undefined
  return { operator: kind, text: written, version, wildcard }
}

export function formatSpecifiers(specifiers: readonly Specifier[]): string {
  return specifiers.map(({ operator, text }) => `${operator}${text}`).join(',')
}

/** Whether a clause names a pre-release, which allows pre-releases. `!=` does not count. */
export function wantsPreRelease({ operator, version }: Specifier): boolean {
  return operator !== '!=' && operator !== '===' && version !== undefined && isPreRelease(version)
}

/** PEP 440, "Version specifiers". Pre-releases are filtered elsewhere. */
export function satisfies(candidate: PythonVersion, specifier: Specifier): boolean {
  const { operator, version, wildcard, text } = specifier
  if (version === undefined) return candidate.text.toLowerCase() === text.toLowerCase()
  switch (operator) {
    case '==':
      return wildcard ? hasPrefix(candidate, version) : isEqual(candidate, version)
    case '!=':
      return !(wildcard ? hasPrefix(candidate, version) : isEqual(candidate, version))
    case '<=':
      return compareVersions(withoutLocal(candidate), version) <= 0
    case '>=':
      return compareVersions(withoutLocal(candidate), version) >= 0
    case '<':
      return isBefore(candidate, version)
    case '>':
      return isAfter(candidate, version)
    case '~=':
      return (
        compareVersions(withoutLocal(candidate), version) >= 0 &&
        hasPrefix(candidate, { ...plain(version), release: version.release.slice(0, -1) })
      )
    default:
      return false
  }
}

/** A clause without a local part matches any. */
function isEqual(candidate: PythonVersion, version: PythonVersion): boolean {
  return compareVersions(version.local === undefined ? withoutLocal(candidate) : candidate, version) === 0
}

/** `<1.0` excludes pre-releases of 1.0 itself, unless the clause names one. */
function isBefore(candidate: PythonVersion, version: PythonVersion): boolean {
  if (compareVersions(candidate, version) >= 0) return false
  if (isPreRelease(version) || !isPreRelease(candidate) || !sameRelease(candidate, version)) return true
  return version.post !== undefined && candidate.post !== version.post
}

/** `>1.0` excludes post-releases of 1.0, unless the clause names one, and local versions of it. */
function isAfter(candidate: PythonVersion, version: PythonVersion): boolean {
  if (compareVersions(candidate, version) <= 0) return false
  const isPostOfIt =
    candidate.post !== undefined &&
    version.post === undefined &&
    version.dev === undefined &&
    samePre(candidate, version)
  if (isPostOfIt && sameRelease(candidate, version)) return false
  return candidate.local === undefined || !isEqual(withoutLocal(candidate), { ...version, text: '' })
}

function samePre(a: PythonVersion, b: PythonVersion): boolean {
  return a.pre?.[0] === b.pre?.[0] && a.pre?.[1] === b.pre?.[1]
}

/** Compares epoch and release only: 1.0.post1 belongs to the release 1.0. */
function sameRelease(a: PythonVersion, b: PythonVersion): boolean {
  return a.epoch === b.epoch && compareReleases(a.release, b.release) === 0
}

/** `==1.4.*`: the candidate's release begins with it; with `==1.0a1.*` also the rest. */
function hasPrefix(candidate: PythonVersion, prefix: PythonVersion): boolean {
  if (candidate.epoch !== prefix.epoch) return false
  if (prefix.pre !== undefined || prefix.post !== undefined) {
    if (compareReleases(candidate.release, prefix.release) !== 0) return false
    return samePre(candidate, prefix) && (prefix.post === undefined || candidate.post === prefix.post)
  }
  return prefix.release.every((part, i) => (candidate.release[i] ?? 0n) === part)
}

function withoutLocal(version: PythonVersion): PythonVersion {
  const { local, ...rest } = version
  return rest
}

function plain({ epoch }: PythonVersion): PythonVersion {
  return { text: '', epoch, release: [] }
}
