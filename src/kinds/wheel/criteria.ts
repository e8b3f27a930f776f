import { type Candidate, type CandidateRules, choosable } from './candidates.ts'
import type { Requirement } from './requirement.ts'
import { satisfies } from './specifier.ts'

/** Someone's wish for a project. */
export interface Wish {
  requirement: Requirement
  /** identifier of the pin that has it; undefined: the manifest */
  parent: string | undefined
  /** who, for messages */
  by: string
  /** `project[extra]` wants the very version of `project` that it is itself */
  exactly?: Candidate
}

/** All wishes for one identifier, and what fits them, best first. */
export interface Criterion {
  candidates: readonly Candidate[]
  wishes: readonly Wish[]
  /** tried, and known to lead nowhere */
  incompatible: ReadonlySet<Candidate>
}

/** By identifier. */
export type Criteria = Map<string, Criterion>

export interface Pin {
  name: string
  candidate: Candidate
  /** identifiers that it wishes for */
  wishes: ReadonlySet<string>
}

/** `project` or, as pip does, one name of its own for each set of extras: `project[a,b]`. */
export function identifierOf({ project, extras }: Requirement): string {
  return extras.length === 0 ? project : `${project}[${[...new Set(extras)].sort().join(',')}]`
}

export function projectOf(identifier: string): { project: string; extras: string[] } {
  const at = identifier.indexOf('[')
  if (at < 0) return { project: identifier, extras: [] }
  return { project: identifier.slice(0, at), extras: identifier.slice(at + 1, -1).split(',') }
}

/** Those of a project's files that all wishes take; with extras, the wishes for the project itself, too. */
export function matchesOf(
  name: string,
  given: {
    candidates: readonly Candidate[]
    wishes: readonly Wish[]
    incompatible: ReadonlySet<Candidate>
    criteria: Criteria
    constraints: ReadonlyMap<string, readonly Requirement[]>
    rules: CandidateRules
  },
): Candidate[] {
  const { candidates, incompatible, criteria, constraints, rules } = given
  const { project, extras } = projectOf(name)
  const wishes =
    extras.length === 0 ? given.wishes : [...given.wishes, ...(criteria.get(project)?.wishes ?? [])]
  const exact = wishes.flatMap(wish => wish.exactly ?? [])
  const requirements = [...wishes.map(wish => wish.requirement), ...(constraints.get(project) ?? [])]
  const left = candidates.filter(one => !incompatible.has(one) && exact.every(other => other === one))
  // the version of `project[extra]` was already found good, pre-release or not
  if (exact.length > 0) return left.filter(one => satisfiesAll(one, wishes))
  return choosable(left, requirements, rules)
}

export function satisfiesAll(candidate: Candidate, wishes: readonly Wish[]): boolean {
  return wishes.every(
    ({ requirement, exactly }) =>
      (exactly === undefined || exactly === candidate) &&
      requirement.specifiers.every(specifier => satisfies(candidate.version, specifier)),
  )
}
