import { takesPython } from './environment.ts'
import { isListed, isStrong } from './file-hash.ts'
import type { IndexFile, ListedFile } from './index-page.ts'
import { normalizeProject, type Requirement } from './requirement.ts'
import { satisfies, wantsPreRelease } from './specifier.ts'
import { parseWheelName, rankOf, type Target, tagsOf, type WheelName } from './tags.ts'
import { compareVersions, isPreRelease, type PythonVersion, parseVersion } from './version.ts'

/** A file of a project that a target could install. */
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
 * Returns the files that a target could install, the newest version first and the best file of a version first (pip's `CandidateEvaluator`),
 * and why every other version has none.
 */
export function filesFor(
  project: string,
  files: readonly ListedFile[],
  rules: CandidateRules,
): { candidates: Candidate[]; unusable: Map<string, string> } {
  const usable: (Candidate & { rank: number; build: string })[] = []
  const unusable = new Map<string, string>()
  /** version → tags of wheels for other machines */
  const elsewhere = new Map<string, string[]>()
  const sources = rules.sdists.includes('*') || rules.sdists.some(name => normalizeProject(name) === project)
  // a page has dozens of files of each version, for a few sets of tags and Pythons
  const versionOf = remembered((text: string) => {
    const version = parseVersion(text)
    return version && { version, key: canonical(version) }
  })
  const rankOfTags = remembered((tags: string) => rankOf({ tags }, rules.supported))
  const takes = remembered((requires: string) => takesPython(requires, rules.target))
  for (const listed of files) {
    const named = distributionName(listed.filename, project)
    const parsed = named && versionOf(named.version)
    if (named === undefined || parsed === undefined) continue
    const { build, wheel } = named
    const { version, key } = parsed
    const source = sources || listed.direct === true ? Number.MAX_SAFE_INTEGER : undefined
    const rank = wheel === undefined ? source : rankOfTags(wheel.tags)
    if (rank === undefined) {
      if (wheel === undefined) {
        if (!unusable.has(key)) unusable.set(key, 'only a source distribution')
        continue
      }
      const others = elsewhere.get(key)
      if (others === undefined) elsewhere.set(key, [wheel.tags])
      else others.push(wheel.tags)
      continue
    }
    if (listed.requiresPython !== undefined && !takes(listed.requiresPython)) {
      unusable.set(key, `needs Python ${listed.requiresPython}`)
      continue
    }
    const file = listed.read()
    if (file !== undefined) usable.push({ project, version, file, rank, build })
  }
  usable.sort(
    (a, b) =>
      compareVersions(b.version, a.version) ||
      a.rank - b.rank ||
      Number(isLaterBuild(b.build, a.build)) - Number(isLaterBuild(a.build, b.build)),
  )
  for (const [key, tags] of elsewhere)
    if (!unusable.get(key)?.startsWith('needs')) unusable.set(key, wheelsFor(tags))
  for (const { version } of usable) unusable.delete(canonical(version))
  return { candidates: usable.map(({ version, file }) => ({ project, version, file })), unusable }
}

const maxShown = 4

function wheelsFor(names: readonly string[]): string {
  const distinct = new Set<string>()
  for (const tags of names) {
    for (const tag of tagsOf({ tags })) if (distinct.size <= maxShown) distinct.add(tag)
    if (distinct.size > maxShown) break
  }
  const shown = [...distinct].slice(0, maxShown).join(', ')
  return `has wheels for ${shown}${distinct.size > maxShown ? ' and others' : ''} only`
}

/** The function, which then computes each result once. */
function remembered<T>(compute: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>()
  return text => {
    const found = known.get(text)
    if (found !== undefined || known.has(text)) return found as T
    const made = compute(text)
    known.set(text, made)
    return made
  }
}

/** Version, build and tags of a file of this project, as written; undefined where its name is of no wheel and no .tar.gz of it. */
export function distributionName(
  filename: string,
  project: string,
): { version: string; build: string; wheel: WheelName | undefined } | undefined {
  const wheel = parseWheelName(filename)
  if (wheel !== undefined) {
    const { version, build } = wheel
    return isNameOf(wheel.project, project) ? { version, build, wheel } : undefined
  }
  // a project name may contain dashes: the part before the version must be the project
  const stem = /^(.+)\.tar\.gz$/.exec(filename)?.[1]
  const dash = stem?.lastIndexOf('-') ?? -1
  if (stem === undefined || dash <= 0 || !isNameOf(stem.slice(0, dash), project)) return undefined
  return { version: stem.slice(dash + 1), build: '', wheel: undefined }
}

function isNameOf(written: string, project: string): boolean {
  return written === project || normalizeProject(written) === project
}

function canonical({ epoch, release, pre, post, dev, local }: PythonVersion): string {
  const trimmed = release.join('.').replace(/(\.0)+$/, '')
  return [epoch, trimmed, pre?.join('') ?? '', post ?? '', dev ?? '', local?.join('.') ?? ''].join('|')
}

/** PEP 427: `10` is later than `9a`. */
function isLaterBuild(a: string, b: string): boolean {
  const [x, restA] = buildTag(a)
  const [y, restB] = buildTag(b)
  return Number(x) - Number(y) > 0 || (Number(x) === Number(y) && restA > restB)
}

/**
 * Returns the best file of each version that satisfies all requirements. Yanked files only where a version is pinned and has no others (PEP 592);
 * pre-releases as in pip. Where the hashes of a file are still unknown, it is among them: they are checked before it is pinned.
 */
export function choosable(
  candidates: readonly Candidate[],
  requirements: readonly Requirement[],
  rules: CandidateRules,
): Candidate[] {
  const specifiers = requirements.flatMap(requirement => requirement.specifiers)
  const lists = requirements.flatMap(({ hashes }) => (hashes.length > 0 ? [hashes] : []))
  const isPinned = specifiers.some(one => one.operator === '===' || (one.operator === '==' && !one.wildcard))
  const satisfying = candidates.filter(
    ({ version, file }) =>
      specifiers.every(specifier => satisfies(version, specifier)) &&
      (!rules.requireHashes || lists.length > 0 || (file.direct === true && file.hashes.some(isStrong))),
  )
  const verdicts = satisfying.map(({ file }) => lists.map(list => isListed(file.hashes, list)))
  const listed = satisfying.filter((_, i) => verdicts[i]!.every(verdict => verdict === 'yes'))
  const possible = satisfying.filter((_, i) => verdicts[i]!.every(verdict => verdict !== 'no'))
  const allowed = listed.length > 0 ? listed : possible
  const current = allowed.filter(({ file }) => file.yanked === undefined)
  const fitting = bestOfVersions(current.length === 0 && isPinned ? allowed : current)
  if (rules.prereleases || specifiers.some(wantsPreRelease)) return fitting
  const final = fitting.filter(candidate => !isPreRelease(candidate.version))
  return final.length > 0 ? final : fitting
}

/** They are sorted: the first of each version. */
function bestOfVersions(candidates: readonly Candidate[]): Candidate[] {
  return candidates.filter(
    ({ version }, i) => i === 0 || compareVersions(candidates[i - 1]!.version, version) !== 0,
  )
}

function buildTag(text: string): [number: string, rest: string] {
  const [number = ''] = /^\d*/.exec(text) ?? []
  return [number, text.slice(number.length)]
}
