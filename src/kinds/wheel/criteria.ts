import { type Candidate, type CandidateRules, choosable } from './candidates.ts'
import type { Requirement } from './requirement.ts'
import { satisfies } from './specifier.ts'

/** A requirement, and where it comes from (resolvelib's RequirementInformation). */
export interface RequirementInformation {
  requirement: Requirement
  /** identifier of the pin that has the requirement; undefined: the manifest */
  parent: string | undefined
  /** the parent with its version, or the place in the manifest, for messages */
  by: string
  /** `project[extra]` requires exactly the version of `project` that it is itself */
  exactly?: Candidate
}

/** Everything required of one identifier, and the candidates that satisfy it, best first (resolvelib's Criterion). */
export interface Criterion {
  candidates: readonly Candidate[]
  information: readonly RequirementInformation[]
  /** candidates that were tried and led to a conflict */
  incompatibilities: ReadonlySet<Candidate>
}

/** By identifier. */
export type Criteria = Map<string, Criterion>

export interface Pin {
  name: string
  candidate: Candidate
  /** identifiers that it requires */
  dependencies: ReadonlySet<string>
}

/** Returns `project` or, as in pip, a separate identifier for each set of extras: `project[a,b]`. */
export function identifierOf({ project, extras }: Requirement): string {
  return extras.length === 0 ? project : `${project}[${[...new Set(extras)].sort().join(',')}]`
}

export function projectOf(identifier: string): { project: string; extras: string[] } {
  const at = identifier.indexOf('[')
  if (at < 0) return { project: identifier, extras: [] }
  return { project: identifier.slice(0, at), extras: identifier.slice(at + 1, -1).split(',') }
}

/** Returns the candidates that satisfy every requirement; with extras, also the requirements of the project itself. */
export function matchesOf(
  name: string,
  given: {
    candidates: readonly Candidate[]
    information: readonly RequirementInformation[]
    incompatibilities: ReadonlySet<Candidate>
    criteria: Criteria
    constraints: ReadonlyMap<string, readonly Requirement[]>
    rules: CandidateRules
  },
): Candidate[] {
  const { candidates, incompatibilities, criteria, constraints, rules } = given
  const { project, extras } = projectOf(name)
  const information =
    extras.length === 0
      ? given.information
      : [...given.information, ...(criteria.get(project)?.information ?? [])]
  const exact = information.flatMap(one => one.exactly ?? [])
  const requirements = [...information.map(one => one.requirement), ...(constraints.get(project) ?? [])]
  const left = candidates.filter(one => !incompatibilities.has(one) && exact.every(other => other === one))
  // the version of `project[extra]` was already accepted, pre-release or not
  if (exact.length > 0) return left.filter(one => satisfiesAll(one, information))
  return choosable(left, requirements, rules)
}

export function satisfiesAll(candidate: Candidate, information: readonly RequirementInformation[]): boolean {
  return information.every(
    ({ requirement, exactly }) =>
      (exactly === undefined || exactly === candidate) &&
      requirement.specifiers.every(specifier => satisfies(candidate.version, specifier)),
  )
}

/** What is to be resolved for one target. */
export interface ResolutionRequest {
  requirements: readonly { requirement: Requirement; at: string }[]
  constraints: readonly Requirement[]
  rules: CandidateRules
  /** where it was requested, for messages */
  at: string
}
