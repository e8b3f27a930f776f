import { type Candidate, type CandidateRules, choosable } from './candidates.ts'
import type { FileHash } from './file-hash.ts'
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
    /** candidates that can never be used: their metadata is unreadable, or is for other Pythons */
    unsuitable: { has(candidate: Candidate): boolean }
    constraints: ReadonlyMap<string, readonly Requirement[]>
    rules: CandidateRules
  },
): Candidate[] {
  const { candidates, incompatibilities, unsuitable, criteria, constraints, rules } = given
  const { project, extras } = projectOf(name)
  const information =
    extras.length === 0
      ? given.information
      : [...given.information, ...(criteria.get(project)?.information ?? [])]
  const exact = information.flatMap(one => one.exactly ?? [])
  const requirements = [...information.map(one => one.requirement), ...(constraints.get(project) ?? [])]
  const left = candidates.filter(one => !unsuitable.has(one) && exact.every(other => other === one))
  // the version of `project[extra]` was already accepted, pre-release or not
  const matching =
    exact.length > 0
      ? left.filter(one => satisfiesAll(one, information))
      : choosable(left, requirements, rules)
  // only now, as in pip: another file of a version that led to a conflict would lead there again
  return matching.filter(one => !incompatibilities.has(one))
}

/** The lists of hashes, of one of which each the file of a candidate must be. */
export function hashListsOf(
  information: readonly RequirementInformation[],
  constraints: readonly Requirement[],
): (readonly FileHash[])[] {
  const requirements = [...information.map(one => one.requirement), ...constraints]
  return requirements.flatMap(({ hashes }) => (hashes.length > 0 ? [hashes] : []))
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
