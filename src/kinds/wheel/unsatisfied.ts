import { AirgapError } from '../../core/errors.ts'
import { type Candidate, choosable } from './candidates.ts'
import { projectOf, type Wish } from './criteria.ts'
import type { Requirement } from './requirement.ts'
import type { Question } from './solver.ts'
import { formatSpecifiers } from './specifier.ts'

const maxTold = 12
const maxChain = 30

/** Who asked for what, up to the line of the manifest, and what was wrong with each version that there is. */
export function unsatisfied(
  project: string,
  found: {
    wishes: ReadonlyMap<string, readonly Wish[]>
    candidates: readonly Candidate[]
    lacks: ReadonlyMap<string, string>
    constraints: ReadonlyMap<string, readonly Requirement[]>
    question: Question
  },
): AirgapError {
  const { wishes, candidates, lacks, question } = found
  const { target } = question.rules
  const own = wishes.get(project) ?? []
  const constraints = found.constraints.get(project) ?? []
  const asked = [
    ...own.map(
      ({ requirement, by, parent }) => `${told(requirement)} (asked for by ${by}${chain(parent, wishes)})`,
    ),
    ...constraints.map(one => `${told(one)} (a constraint)`),
  ]
  const versions = [
    ...candidates.map(
      one =>
        `${one.version.text}: ${whyNot(one, [...own.map(wish => wish.requirement), ...constraints], question)}`,
    ),
    ...[...lacks].reverse().map(([version, why]) => `${version.split('|')[1]}: ${why}`),
  ]
  const more = versions.length > maxTold ? [`… and ${versions.length - maxTold} more`] : []
  const lines = [
    `no version of ${project} fits all that asks for it, for Python ${target.python} on ${target.platform}:`,
    ...asked.slice(0, maxTold),
    ...(versions.length === 0 ? ['the index has no version of it'] : ['the versions that there are:']),
    ...versions.slice(0, maxTold).map(line => `  ${line}`),
    ...more,
  ]
  return new AirgapError('UNRESOLVABLE', lines.join('\n  '), {
    item: question.at,
    likely:
      versions.length === 0
        ? 'a typing error, or a project of another index'
        : 'two packages want different versions, or there is no wheel',
    next: 'relax a version, add a constraint, or allow its source distribution (sdists:)',
  })
}

function told(requirement: Requirement): string {
  const extras = requirement.extras.length === 0 ? '' : `[${requirement.extras.join(',')}]`
  return `${requirement.project}${extras}${formatSpecifiers(requirement.specifiers)}`
}

/** ` ← top ← requirements.txt:1` */
function chain(from: string | undefined, wishes: ReadonlyMap<string, readonly Wish[]>): string {
  const seen = new Set<string>()
  let text = ''
  for (let project = from && projectOf(from).project; project !== undefined && seen.size < maxChain; ) {
    if (seen.has(project)) return text
    seen.add(project)
    const own = wishes.get(project) ?? []
    const wish = own.find(one => one.parent === undefined) ?? own[0]
    if (wish === undefined) return text
    text += ` ← ${wish.by}`
    project = wish.parent && projectOf(wish.parent).project
  }
  return text
}

function whyNot(candidate: Candidate, requirements: readonly Requirement[], { rules }: Question): string {
  if (choosable([candidate], requirements, rules).length > 0)
    return 'what it needs itself does not go with the rest'
  const against = requirements.find(one => {
    const alone = { ...one, hashes: [] }
    return (
      choosable([{ ...candidate, file: { ...candidate.file, yanked: undefined } as never }], [alone], {
        ...rules,
        requireHashes: false,
      }).length === 0
    )
  })
  if (against !== undefined) return `not ${told(against)}`
  if (candidate.file.yanked !== undefined)
    return `yanked${candidate.file.yanked === '' ? '' : `: ${candidate.file.yanked.slice(0, 200)}`}`
  return 'no requirement names its hash, and where one has a hash all need one'
}
