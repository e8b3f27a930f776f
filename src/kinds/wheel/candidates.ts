import { takesPython } from './environment.ts'
import type { IndexFile } from './index-page.ts'
import { normalizeProject, type Requirement } from './requirement.ts'
import { satisfies, wantsPreRelease } from './specifier.ts'
import { parseWheelName, rankOf, type Target } from './tags.ts'
import { compareVersions, isPreRelease, type PythonVersion, parseVersion } from './version.ts'

/** One version of a project with the file that a target would install. */
export interface Candidate {
  project: string
  version: PythonVersion
  file: IndexFile
}

export interface CandidateRules {
  target: Target
  supported: ReadonlyMap<string, number>
  prereleases: boolean
  /** projects whose source distribution may be used; `*` for all */
  sdists: readonly string[]
  /** only files with a hash that a requirement lists */
  requireHashes: boolean
}

/**
 * Returns the best file of each version for a target, newest version first, and for every other version why it has none.
 */
export function filesFor(
  project: string,
  files: readonly IndexFile[],
  rules: CandidateRules,
): { candidates: Candidate[]; unusable: Map<string, string> } {
  const best = new Map<string, { candidate: Candidate; rank: number; build: string }>()
  const unusable = new Map<string, string>()
  /** version → tags of wheels for other machines */
  const elsewhere = new Map<string, string[]>()
  const sources = rules.sdists.includes('*') || rules.sdists.some(name => normalizeProject(name) === project)
  for (const file of files) {
    const named = nameOf(file.filename, project)
    if (named === undefined) continue
    const { version, build, wheel } = named
    const key = canonical(version)
    const rank =
      wheel === undefined ? (sources ? Number.MAX_SAFE_INTEGER : undefined) : rankOf(wheel, rules.supported)
    if (rank === undefined) {
      if (wheel !== undefined) elsewhere.set(key, [...(elsewhere.get(key) ?? []), ...wheel.tags])
      else if (!unusable.has(key)) unusable.set(key, 'only a source distribution')
      continue
    }
    if (!takesPython(file.requiresPython, rules.target)) {
      unusable.set(key, `needs Python ${file.requiresPython}`)
      continue
    }
    const other = best.get(key)
    if (
      other !== undefined &&
      (other.rank < rank || (other.rank === rank && !isLaterBuild(build, other.build)))
    )
      continue
    best.set(key, { candidate: { project, version, file }, rank, build })
  }
  const candidates = [...best.values()].map(one => one.candidate)
  candidates.sort((a, b) => compareVersions(b.version, a.version))
  for (const [key, tags] of elsewhere)
    if (!unusable.get(key)?.startsWith('needs')) unusable.set(key, wheelsFor(tags))
  for (const key of best.keys()) unusable.delete(key)
  return { candidates, unusable }
}

const maxTold = 4

function wheelsFor(tags: readonly string[]): string {
  const distinct = [...new Set(tags)]
  return `has wheels for ${distinct.slice(0, maxTold).join(', ')}${distinct.length > maxTold ? ' and others' : ''} only`
}

function nameOf(filename: string, project: string) {
  const wheel = parseWheelName(filename)
  if (wheel !== undefined) {
    const version = parseVersion(wheel.version)
    return version && normalizeProject(wheel.project) === project
      ? { version, build: wheel.build, wheel }
      : undefined
  }
  // a project name may contain dashes: the part before the version must be the project
  const stem = /^(.+)\.tar\.gz$/.exec(filename)?.[1]
  const dash = stem?.lastIndexOf('-') ?? -1
  if (stem === undefined || dash <= 0 || normalizeProject(stem.slice(0, dash)) !== project) return undefined
  const version = parseVersion(stem.slice(dash + 1))
  return version === undefined ? undefined : { version, build: '', wheel: undefined }
}

function canonical({ epoch, release, pre, post, dev, local }: PythonVersion): string {
  const trimmed = release.join('.').replace(/(\.0)+$/, '')
  return [epoch, trimmed, pre?.join('') ?? '', post ?? '', dev ?? '', local?.join('.') ?? ''].join('|')
}

/** PEP 427: `10` is later than `9a`. */
function isLaterBuild(a: string, b: string): boolean {
  const [, x = '0', restA = ''] = /^(\d*)(.*)$/.exec(a) ?? []
  const [, y = '0', restB = ''] = /^(\d*)(.*)$/.exec(b) ?? []
  return Number(x) - Number(y) > 0 || (Number(x) === Number(y) && restA > restB)
}

/** Returns the candidates that satisfy all requirements. Yanked versions only where pinned (PEP 592); pre-releases as in pip. */
export function choosable(
  candidates: readonly Candidate[],
  requirements: readonly Requirement[],
  rules: CandidateRules,
): Candidate[] {
  const specifiers = requirements.flatMap(requirement => requirement.specifiers)
  const hashes = requirements.filter(requirement => requirement.hashes.length > 0).map(one => one.hashes)
  const isPinned = specifiers.some(one => one.operator === '===' || (one.operator === '==' && !one.wildcard))
  const fitting = candidates.filter(
    ({ version, file }) =>
      specifiers.every(specifier => satisfies(version, specifier)) &&
      (file.yanked === undefined || isPinned) &&
      hashes.every(list => file.sha256 !== undefined && list.includes(file.sha256)) &&
      (!rules.requireHashes || hashes.length > 0),
  )
  if (rules.prereleases || specifiers.some(wantsPreRelease)) return fitting
  const final = fitting.filter(candidate => !isPreRelease(candidate.version))
  return final.length > 0 ? final : fitting
}
