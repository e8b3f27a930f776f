import { AirgapError } from '../../core/errors.ts'
import { redactUrl } from '../../core/redact.ts'
import { type Candidate, choosable } from './candidates.ts'
import { projectOf, type RequirementInformation, type ResolutionRequest } from './criteria.ts'
import type { ProjectPage } from './package-index.ts'
import type { Requirement } from './requirement.ts'
import { formatSpecifiers } from './specifier.ts'

const maxLines = 12
const maxChain = 30

/** Returns the error that shows each requirement with its chain up to the manifest, and why each available version fails. */
export function explainConflict(
  project: string,
  found: {
    information: ReadonlyMap<string, readonly RequirementInformation[]>
    candidates: readonly Candidate[]
    /** `filename|version` → why that version is not a candidate */
    unusable: ReadonlyMap<string, string>
    /** candidates that their own metadata or content excludes */
    unsuitable: ReadonlyMap<Candidate, string>
    /** the project in the indexes; undefined for a file that is named by its URL */
    page: ProjectPage | undefined
    constraints: ReadonlyMap<string, readonly Requirement[]>
    request: ResolutionRequest
  },
): AirgapError {
  const { information, candidates, unusable, unsuitable, page, request } = found
  const { target } = request.rules
  const own = information.get(project) ?? []
  const constraints = found.constraints.get(project) ?? []
  const requirements = [
    ...own.map(
      ({ requirement, by, parent }) =>
        `${formatRequirement(requirement)} (required by ${by}${chain(parent, information)})`,
    ),
    ...constraints.map(one => `${formatRequirement(one)} (a constraint)`),
  ]
  const versions = [
    ...candidates.map(
      one =>
        `${one.version.text}: ${unsuitable.get(one) ?? whyNot(one, [...own.map(one => one.requirement), ...constraints], request)}`,
    ),
    ...[...unusable].reverse().map(([version, why]) => `${version.split('|')[1]}: ${why}`),
  ]
  const more = versions.length > maxLines ? [`… and ${versions.length - maxLines} more`] : []
  const lines = [
    `no version of ${project} satisfies all requirements for Python ${target.python} on ${target.platform}:`,
    ...[
      ...requirements.slice(0, maxLines),
      ...(versions.length === 0 ? whyNone(page) : ['available versions:']),
      ...versions.slice(0, maxLines).map(line => `  ${line}`),
      ...more,
    ].map(line => `  ${line}`),
  ]
  return new AirgapError('UNRESOLVABLE', lines, {
    item: request.at,
    likely:
      versions.length === 0
        ? 'a typing mistake, or the project is in another index'
        : 'two packages require different versions, or there is no wheel for this target',
    next: 'relax a version, add a constraint, or allow its source distribution (sdists:)',
  })
}

function whyNone(page: ProjectPage | undefined): string[] {
  if (page?.queried === 0) return ['no index may provide it: each has `projects:`, and none lists it']
  const refused = (page?.refused ?? []).map(({ index, error }) => `${redactUrl(index.url)}: ${error.message}`)
  return [page?.queried === 1 ? 'the index has no version of it' : 'no index has a version of it', ...refused]
}

function formatRequirement(requirement: Requirement): string {
  const extras = requirement.extras.length === 0 ? '' : `[${requirement.extras.join(',')}]`
  const versions =
    requirement.url === undefined
      ? formatSpecifiers(requirement.specifiers)
      : ` @ ${redactUrl(requirement.url)}`
  return `${requirement.project}${extras}${versions}`
}

/** ` ← top ← requirements.txt:1` */
function chain(
  from: string | undefined,
  information: ReadonlyMap<string, readonly RequirementInformation[]>,
): string {
  const seen = new Set<string>()
  let text = ''
  for (let project = from && projectOf(from).project; project !== undefined && seen.size < maxChain; ) {
    if (seen.has(project)) return text
    seen.add(project)
    const own = information.get(project) ?? []
    const one = own.find(one => one.parent === undefined) ?? own[0]
    if (one === undefined) return text
    text += ` ← ${one.by}`
    project = one.parent && projectOf(one.parent).project
  }
  return text
}

function whyNot(
  candidate: Candidate,
  requirements: readonly Requirement[],
  { rules }: ResolutionRequest,
): string {
  if (choosable([candidate], requirements, rules).length > 0)
    return 'its own requirements are incompatible with the others'
  const against = requirements.find(one => {
    const alone = { ...one, hashes: [] }
    return (
      choosable([{ ...candidate, file: { ...candidate.file, yanked: undefined } as never }], [alone], {
        ...rules,
        requireHashes: false,
      }).length === 0
    )
  })
  if (against !== undefined) return `not ${formatRequirement(against)}`
  if (candidate.file.yanked !== undefined)
    return `yanked${candidate.file.yanked === '' ? '' : `: ${candidate.file.yanked.slice(0, 200)}`}`
  return 'no requirement lists its hash; where one requirement has hashes, all need them'
}
