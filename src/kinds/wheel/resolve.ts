import pLimit from 'p-limit'
import { compareText } from '../../core/canonical-json.ts'
import { defined } from '../../core/defined.ts'
import { hexOf } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { fetchOnce } from '../../remote/fetch-once.ts'
import type { ResolveContext } from '../kind.ts'
import type { WheelRequest } from './entry.ts'
import type { LockedDistribution, LockedWheels } from './locked.ts'
import { checkOwnMetadata, openIndex, type PackageIndex } from './package-index.ts'
import { parseRequirement } from './requirement.ts'
import { type Chosen, solve } from './solver.ts'
import { parseWheelName, supportedTags, type Target, targetName } from './tags.ts'
import { compareVersions, parseVersion } from './version.ts'

/** Resolves the requirements for each Python on each platform, and checks the chosen wheels against their metadata. */
export async function resolveWheels(request: WheelRequest, context: ResolveContext): Promise<LockedWheels> {
  const index = openIndex(request.indexes, context)
  const requirements = request.requirements.map(({ at, text }) => ({
    at,
    requirement: parseRequirement(text, { item: at, code: 'MANIFEST_INVALID' }),
  }))
  const constraints = request.constraints.map(({ at, text }) =>
    parseRequirement(text, { item: at, code: 'MANIFEST_INVALID' }),
  )
  const requireHashes = requirements.some(({ requirement }) => requirement.hashes.length > 0)
  // all pages at once: one after another they would take most of the time
  for (const { requirement } of requirements) void index.files(requirement.project).catch(() => undefined)
  const targets = request.pythons.flatMap(python => request.platforms.map(platform => ({ python, platform })))
  const answers = await Promise.all(
    targets.map(async target => ({
      target,
      chosen: await solve(index, {
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
      }),
    })),
  )
  return { name: request.name, distributions: await lockedOf(answers, { index, context }) }
}

/** One entry for each file, with all targets that use it. */
async function lockedOf(
  answers: readonly { target: Target; chosen: readonly Chosen[] }[],
  { index, context }: { index: PackageIndex; context: ResolveContext },
): Promise<LockedDistribution[]> {
  const files = new Map<string, { chosen: Chosen; targets: string[] }>()
  for (const { target, chosen } of answers) {
    for (const one of chosen) {
      const { filename } = one.candidate.file
      const known = files.get(filename)
      if (known === undefined) files.set(filename, { chosen: one, targets: [targetName(target)] })
      else known.targets.push(targetName(target))
    }
  }
  const limit = pLimit(8)
  const distributions = await Promise.all(
    [...files.values()].map(({ chosen, targets }) =>
      limit(() => toLocked(chosen, { targets, index, context })),
    ),
  )
  return distributions.sort(
    (a, b) =>
      compareText(a.project, b.project) ||
      compareText(a.version, b.version) ||
      compareText(a.filename, b.filename),
  )
}

async function toLocked(
  { candidate, requested, because }: Chosen,
  { targets, index, context }: { targets: string[]; index: PackageIndex; context: ResolveContext },
): Promise<LockedDistribution> {
  const { project, version, file } = candidate
  const isWheel = parseWheelName(file.filename) !== undefined
  const { text, parsed } = await index.metadata(file)
  // metadata read from the wheel itself needs no second check
  if (isWheel && file.metadata?.sha256 !== undefined) await checkOwnMetadata(file, { used: parsed, context })
  const said = parseVersion(parsed.version)
  if (parsed.project !== project || said === undefined || compareVersions(said, version) !== 0) {
    const what = `a file of ${project} ${version.text} claims to be ${parsed.project} ${parsed.version.slice(0, 100)}`
    throw new AirgapError('UPSTREAM_INVALID', what, {
      item: redactUrl(file.url),
      likely: 'an index that was tampered with, or made with broken tools',
      next: 'do not use this index',
    })
  }
  const { sha256, size, firstUse } = await contentOf(candidate, context)
  return {
    project,
    version: version.text,
    filename: file.filename,
    url: file.url,
    size,
    sha256,
    ...defined({ requiresPython: file.requiresPython, yanked: file.yanked }),
    ...(requested ? { requested: true as const } : {}),
    ...defined({ because }),
    targets: targets.sort(compareText),
    ...(isWheel ? { metadata: text } : {}),
    ...(firstUse ? { firstUse: true as const } : {}),
  }
}

/** For an index without hashes or a server without sizes: fetches the file now and keeps it for the build. */
async function contentOf(
  { file }: Chosen['candidate'],
  context: ResolveContext,
): Promise<{ sha256: string; size: number; firstUse: boolean }> {
  if (file.sha256 !== undefined) {
    const size = file.size ?? (await context.http.size(file.url))
    if (size !== undefined) return { sha256: file.sha256, size, firstUse: false }
  }
  const { digest, size } = await fetchOnce(file.url, context)
  if (file.sha256 === undefined || file.sha256 === hexOf(digest))
    return { sha256: hexOf(digest), size, firstUse: file.sha256 === undefined }
  throw new AirgapError('DIGEST_MISMATCH', 'a file does not match the index', {
    item: redactUrl(file.url),
    likely: 'damage in transit, or tampering',
    next: 'try again, if necessary from another network; if the error remains, do not use this index',
  })
}
