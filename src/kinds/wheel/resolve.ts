import pLimit from 'p-limit'
import { compareText } from '../../core/canonical-json.ts'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { createMistakes } from '../../document/mistakes.ts'
import type { LeftOut } from '../../lock/left-out.ts'
import type { ResolveContext } from '../kind.ts'
import { buildRequirements } from './build-requirements.ts'
import type { Chosen } from './build-result.ts'
import type { ResolutionRequest } from './criteria.ts'
import type { WheelRequest } from './entry.ts'
import { hashOf, isStrong } from './file-hash.ts'
import type { IndexSource } from './index-sources.ts'
import type { LockedDistribution, LockedWheels } from './locked.ts'
import { openIndex, type PackageIndex } from './package-index.ts'
import { parseRequirement } from './requirement.ts'
import { type Solution, solve } from './solver.ts'
import { parseWheelName, supportedTags, type Target, targetName } from './tags.ts'
import { checkOwnMetadata } from './wheel-metadata.ts'

/** Resolves the requirements for each Python on each platform, and checks the chosen wheels against their metadata. */
export async function resolveWheels(request: WheelRequest, context: ResolveContext): Promise<LockedWheels> {
  const index = openIndex(request.indexes, context)
  const mistakes = createMistakes()
  const parsed = ({ at, text }: { at: string; text: string }) =>
    mistakes.attempt(() => parseRequirement(text, { item: at, code: 'MANIFEST_INVALID' }))
  const requirements = request.requirements.flatMap(line => {
    const requirement = parsed(line)
    return requirement === undefined ? [] : [{ at: line.at, requirement }]
  })
  const constraints = request.constraints.flatMap(line => parsed(line) ?? [])
  mistakes.throwIfAny()
  const requireHashes =
    request.requireHashes === true || requirements.some(({ requirement }) => requirement.hashes.length > 0)
  // all pages at once: one after another they would take most of the time
  for (const { requirement } of requirements)
    if (requirement.url === undefined) void index.project(requirement.project).catch(() => undefined)
  const targets = request.pythons.flatMap(python => request.platforms.map(platform => ({ python, platform })))
  const answers = await Promise.all(
    targets.map(async target => {
      const resolution: ResolutionRequest = {
        requirements,
        constraints,
        at: request.at,
        rules: {
          target,
          supported: supportedTags(target),
          prereleases: request.prereleases,
          sdists: request.sdists,
          requireHashes,
        },
      }
      const solution = await solve(index, resolution)
      const builds = await buildRequirements(solution.chosen, { index, resolution, context })
      return [solution, ...builds].map(one => ({ target, ...one }))
    }),
  )
  const distributions = await lockedOf(answers.flat(), { index, context })
  const indexed = answers
    .flat()
    .flatMap(({ chosen }) => chosen.filter(({ candidate }) => !candidate.file.direct))
  await noteIndexes(new Set(indexed.map(({ candidate }) => candidate.project)), { index, context })
  return {
    name: request.name,
    distributions,
    ...defined({ leftOut: leftOutOf(answers.flat()) }),
  }
}

interface Answer extends Solution {
  target: Target
}

/** Newer versions that cannot be used, each once. */
function leftOutOf(answers: readonly Answer[]): LeftOut[] | undefined {
  const reasons = new Map<string, string>()
  for (const { passedOver } of answers)
    for (const { candidate, reason } of passedOver)
      reasons.set(`${candidate.project} ${candidate.version.text} (${candidate.file.filename})`, reason)
  if (reasons.size === 0) return undefined
  return [...reasons].map(([name, reason]) => ({ name, reason })).sort((a, b) => compareText(a.name, b.name))
}

/** One entry for each file, with all targets that use it. Throws NAME_COLLISION for two files of one name. */
async function lockedOf(
  answers: readonly Answer[],
  { index, context }: { index: PackageIndex; context: ResolveContext },
): Promise<LockedDistribution[]> {
  const files = new Map<string, { chosen: Chosen; others: Chosen[]; targets: Set<string> }>()
  for (const { target, chosen } of answers) {
    for (const one of chosen) {
      const { filename } = one.candidate.file
      const known = files.get(filename)
      if (known === undefined) {
        files.set(filename, { chosen: one, others: [], targets: new Set([targetName(target)]) })
        continue
      }
      known.targets.add(targetName(target))
      const isBetter = one.requested && !known.chosen.requested
      known.others.push(isBetter ? known.chosen : one)
      if (isBetter) known.chosen = one
    }
  }
  const limit = pLimit(8)
  const distributions = await Promise.all(
    [...files.values()].map(({ chosen, others, targets }) =>
      limit(async () => {
        const locked = await toLocked(chosen, { targets: [...targets], index, context })
        await refuseOtherContent(locked, { others, index, context })
        return locked
      }),
    ),
  )
  return distributions.sort(
    (a, b) =>
      compareText(a.project, b.project) ||
      compareText(a.version, b.version) ||
      compareText(a.filename, b.filename),
  )
}

/** The site serves one file under a name: the index has another one than the URL of a requirement, or the indexes differ. */
async function refuseOtherContent(
  { url, filename, sha256 }: LockedDistribution,
  { others, index, context }: { others: readonly Chosen[]; index: PackageIndex; context: ResolveContext },
): Promise<void> {
  for (const other of others) {
    const { file } = other.candidate
    if (file.url === url || (await contentOf(other, { index, context })).sha256 === sha256) continue
    throw new AirgapError('NAME_COLLISION', `two different files are called ${filename}`, {
      item: `${redactUrl(url)} and ${redactUrl(file.url)}`,
      likely: 'a requirement names one by its URL, and another Python, platform or build takes the other one',
      next: 'require the same URL everywhere, or give a file of your own its own version (1.0+own)',
    })
  }
}

async function toLocked(
  chosen: Chosen,
  { targets, index, context }: { targets: string[]; index: PackageIndex; context: ResolveContext },
): Promise<LockedDistribution> {
  const { candidate, requested, because } = chosen
  const { project, version, file } = candidate
  const isWheel = parseWheelName(file.filename) !== undefined
  const { text, parsed } = await index.metadata(file)
  // metadata read from the wheel itself needs no second check
  if (isWheel && file.metadata?.sha256 !== undefined) await checkOwnMetadata(file, { used: parsed, context })
  const { sha256, size, firstUse } = await contentOf(chosen, { index, context })
  return {
    project,
    version: version.text,
    filename: file.filename,
    url: file.url,
    size,
    sha256,
    ...defined({ requiresPython: file.requiresPython ?? parsed.requiresPython, yanked: file.yanked }),
    ...(requested ? { requested: true as const } : {}),
    ...defined({ because }),
    targets: targets.sort(compareText),
    ...(isWheel ? { metadata: text } : {}),
    ...(chosen.isHashed ? { pinned: true as const } : {}),
    ...(firstUse ? { firstUse: true as const } : {}),
  }
}

/** For an index without sha256 or a server without sizes: fetches the file now and keeps it for the build. */
async function contentOf(
  { candidate: { file }, isHashed }: Chosen,
  { index, context }: { index: PackageIndex; context: ResolveContext },
): Promise<{ sha256: string; size: number; firstUse: boolean }> {
  const stated = hashOf(file.hashes, 'sha256')
  if (stated !== undefined) {
    const size = file.size ?? (await context.http.size(file.url, { namedBy: file.namedBy }))
    if (size !== undefined) return { sha256: stated, size, firstUse: false }
  }
  const { hashes, size } = await index.content(file)
  return { sha256: hashOf(hashes, 'sha256')!, size, firstUse: !isHashed && !file.hashes.some(isStrong) }
}

const maxNamed = 5

/**
 * Notes which indexes were passed over, and which projects of the closure are in several without being bound to one. Throws UNAUTHORIZED
 * where an index lacks a login: with an expired one, whatever it has would come from the next index, which may be a public one
 * where anyone can register the name (dependency confusion, CWE-427).
 */
async function noteIndexes(
  projects: ReadonlySet<string>,
  { index, context }: { index: PackageIndex; context: ResolveContext },
): Promise<void> {
  const refused = new Map<string, string[]>()
  const passedOver = new Set<IndexSource>()
  const shared = new Map<string, string[]>()
  const limit = pLimit(8)
  await Promise.all(
    [...projects].map(project =>
      limit(async () => {
        const page = await index.project(project)
        for (const { index: source, error } of page.refused) {
          passedOver.add(source)
          add(refused, `${redactUrl(source.url)}: ${error.message}`, project)
        }
        if (page.index === undefined) return
        const others = await index.others(project)
        if (others.length > 0) {
          const where = others.map(({ url }) => redactUrl(url)).join(', ')
          add(shared, `${redactUrl(page.index.url)}, also in ${where}`, project)
        }
      }),
    ),
  )
  for (const source of passedOver) {
    const error = await index.denial(source)
    if (error === undefined) continue
    throw new AirgapError('UNAUTHORIZED', 'an index answers no request without a login', {
      item: redactUrl(source.url),
      likely: `${error.likely ?? 'the login is missing or has expired'}; its projects would be taken from the next index, where they may be somebody else’s`,
      next: `${error.next}; or remove the index, or bind projects to the indexes with \`projects:\``,
      cause: error,
    })
  }
  for (const [what, some] of refused) context.progress.note(`${what}; passed over for ${named(some)}`)
  for (const [where, some] of shared)
    context.progress.note(
      `${named(some)}: taken from ${where}; bind a project to its index with \`projects:\` (see \`airgap init\`)`,
    )
}

function add(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}

function named(projects: readonly string[]): string {
  const sorted = [...projects].sort(compareText)
  const more = sorted.length > maxNamed ? ` and ${sorted.length - maxNamed} more` : ''
  return `${sorted.slice(0, maxNamed).join(', ')}${more}`
}
