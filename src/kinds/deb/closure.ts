import { AirgapError } from '../../core/errors.ts'
import type { Candidate } from './candidate.ts'
import { explain, type Failure, nearNames } from './explain.ts'
import { type Alternatives, formatRelation, type Relation } from './relation.ts'
import { dependenciesOf, itemOf, negativesOf, providesOf, recommendsOf, type Universe } from './universe.ts'

/** A package of the closure and why it is there. */
export interface Selected {
  candidate: Candidate
  requested: boolean
  /** the package that pulled it in */
  because?: string
}

export interface ClosureRequest {
  names: string[]
  recommends: boolean
  /** where the packages were asked for, for messages */
  at: string
}

/** No chain of dependencies of a real archive is a tenth as long; a bound on hostile ones. */
const maxDepth = 1_000
const maxSteps = 200_000
/** How often a choice is taken back that conflicts with what is needed, or with what is only recommended. */
const maxRetries = { needed: 50, recommended: 8 }

/**
 * What `apt-get install` would install on an empty system: everything the requested packages depend on, by apt's
 * preferences (the first alternative that can be had; what is selected already; the package before its providers).
 * Packages are selected as they are found, depth first; a choice that conflicts with something needed is taken back and
 * forbidden. Throws UNRESOLVABLE with the whole chain.
 */
export function closureOf(universe: Universe, request: ClosureRequest): Selected[] {
  checkNames(universe, request)
  const banned = new Set<Candidate>()
  let best: Selection | undefined
  let first: AirgapError | undefined
  for (let retry = 0; retry <= maxRetries.needed; retry++) {
    const selection = new Selection(universe, { ...request, banned })
    const failed = selectAll(selection, request.names)
    if (failed) first ??= explain(failed, request.at)
    else if (!best || selection.leftOut.length < best.leftOut.length) best = selection
    if (best && (failed || retry >= maxRetries.recommended)) break
    const culprits = culpritsOf(failed ? [failed] : selection.leftOut).culprits ?? []
    const culprit = [...culprits].find(
      other =>
        !banned.has(other) &&
        !request.names.includes(other.name) &&
        (failed !== undefined || selection.evictable.has(other)),
    )
    if (!culprit) break
    banned.add(culprit)
  }
  if (best) return best.result()
  throw first
}

function selectAll(selection: Selection, names: string[]): Failure | undefined {
  // all of them first, so that what one needs is met by another that is asked for by name
  for (const name of names) {
    const failed = selection.request(name)
    if (failed) return failed
  }
  for (const name of names) {
    const failed = selection.complete(name)
    if (failed) return failed
  }
  return undefined
}

function checkNames(universe: Universe, { names, at }: ClosureRequest): void {
  const unknown = names.filter(name => universe.get(name) === undefined)
  if (unknown.length === 0) return
  const details = unknown.map(name => {
    const providers = universe.offers({ name }).map(candidate => candidate.name)
    if (providers.length > 0)
      return `${name} is a virtual package; name one of ${providers.slice(0, 8).join(', ')}`
    const near = nearNames(name, universe.names())
    return near.length > 0 ? `${name} (did you mean ${near.join(', ')}?)` : name
  })
  throw new AirgapError(
    'UNRESOLVABLE',
    `no such package for ${universe.architecture}: ${details.join('; ')}`,
    {
      item: at,
      likely: 'a spelling mistake, or the package is in another component or suite',
      next: 'correct the name, or add the component (components: in the manifest) that has it',
    },
  )
}

/** The packages selected so far; steps are undone by cutting the trail back. */
class Selection {
  /** what is recommended and was left out, because other packages stand in its way */
  readonly leftOut: Failure[] = []
  /** packages that a later one refuses by its own word: for these apt takes its choice back, for the others it does not */
  readonly evictable = new Set<Candidate>()
  readonly #universe: Universe
  readonly #recommends: boolean
  readonly #banned: Set<Candidate>
  readonly #trail: Selected[] = []
  readonly #selected = new Set<Candidate>()
  /** what selected packages will not have beside them, by name */
  readonly #refusals = new Map<string, { by: Candidate; relation: Relation }[]>()
  readonly #parsed = new Map<Candidate, Relation[]>()
  /** packages that could not be selected, and why */
  readonly #hopeless = new Map<Candidate, Failure>()
  #steps = 0

  constructor(universe: Universe, options: { recommends: boolean; banned: Set<Candidate> }) {
    this.#universe = universe
    this.#recommends = options.recommends
    this.#banned = options.banned
  }

  result(): Selected[] {
    return [...this.#trail]
  }

  request(name: string): Failure | undefined {
    const candidate = this.#universe.get(name)
    if (!candidate || this.#selected.has(candidate)) return undefined
    const clash = this.#clash(candidate)
    if (clash) return clash
    this.#push({ candidate, requested: true })
    return undefined
  }

  complete(name: string): Failure | undefined {
    const candidate = this.#universe.get(name)
    return candidate && this.#needs(candidate, 0)
  }

  /** Selects everything that a selected package depends on. */
  #needs(candidate: Candidate, depth: number): Failure | undefined {
    for (const group of dependenciesOf(candidate)) {
      const failed = this.#satisfy(candidate, { group, depth })
      if (failed) return failed
    }
    if (!this.#recommends) return undefined
    for (const group of recommendsOf(candidate)) {
      // what is only recommended and cannot be had is left out, as apt does
      const failed = this.#satisfy(candidate, { group, depth })
      if (failed?.culprits?.size) this.leftOut.push(failed)
    }
    return undefined
  }

  #satisfy(parent: Candidate, { group, depth }: { group: Alternatives; depth: number }): Failure | undefined {
    if (group.some(relation => this.#isMet(relation))) return undefined
    if (depth > maxDepth) throw tooMuch(`a chain of dependencies is longer than ${maxDepth} packages`, parent)
    const lacks: (string | Failure)[] = []
    const tried = new Set<Candidate>()
    for (const relation of group) {
      const choices = this.#universe.satisfying(relation)
      if (choices.length === 0) lacks.push(this.#whyNone(relation))
      for (const choice of choices) {
        if (tried.has(choice)) continue
        tried.add(choice)
        const failed = this.#select(choice, { parent, depth: depth + 1 })
        if (!failed) return undefined
        lacks.push(failed)
      }
    }
    return this.#failure(parent, group, lacks)
  }

  #select(
    candidate: Candidate,
    { parent, depth }: { parent: Candidate; depth: number },
  ): Failure | undefined {
    const known = this.#hopeless.get(candidate)
    if (known && this.#stillHolds(known)) return known
    if (++this.#steps > maxSteps) {
      throw tooMuch(`more than ${maxSteps} combinations of packages were tried`, candidate)
    }
    const clash = this.#clash(candidate)
    if (clash) return clash
    const [length, leftOut] = [this.#trail.length, this.leftOut.length]
    this.#push({ candidate, requested: false, because: parent.name })
    const failed = this.#needs(candidate, depth)
    if (!failed) return undefined
    this.#undo(length)
    this.leftOut.length = leftOut
    const failure: Failure = { package: candidate, lacks: [failed], ...culpritsOf([failed]) }
    this.#hopeless.set(candidate, failure)
    return failure
  }

  /** What failed for a conflict fails again while the other package is there; what failed for a lack always does. */
  #stillHolds({ culprits }: Failure): boolean {
    for (const culprit of culprits ?? []) if (!this.#selected.has(culprit)) return false
    return true
  }

  #isMet(relation: Relation): boolean {
    return this.#universe
      .offers(relation)
      .some(candidate => this.#selected.has(candidate) && this.#universe.satisfies(candidate, relation))
  }

  /** Whether the package cannot stand beside what is selected: its own Conflicts and Breaks, and theirs. */
  #clash(candidate: Candidate): Failure | undefined {
    if (this.#banned.has(candidate)) {
      return {
        package: candidate,
        lacks: ['it conflicts with a package that is needed'],
        culprits: new Set(),
      }
    }
    for (const relation of this.#negatives(candidate)) {
      for (const other of this.#universe.offers(relation)) {
        if (other === candidate || !this.#selected.has(other)) continue
        if (!this.#universe.satisfies(other, relation)) continue
        this.evictable.add(other)
        return this.#conflict(candidate, other, formatRelation(relation))
      }
    }
    for (const name of [candidate.name, ...providesOf(candidate).map(provided => provided.name)]) {
      for (const { by, relation } of this.#refusals.get(name) ?? []) {
        if (by === candidate || !this.#universe.satisfies(candidate, relation)) continue
        return this.#conflict(candidate, by, formatRelation(relation))
      }
    }
    return undefined
  }

  #conflict(candidate: Candidate, other: Candidate, relation: string): Failure {
    const entry = this.#trail.find(selected => selected.candidate === other)
    const why = entry?.because === undefined ? 'asked for' : `needed by ${entry.because}`
    const lack = `it conflicts with ${other.name} ${other.version} (${why}): ${relation}`
    return { package: candidate, lacks: [lack], culprits: new Set([other]) }
  }

  #whyNone(relation: Relation): string {
    const text = formatRelation(relation)
    const versions = this.#universe.versions(relation.name).map(candidate => candidate.version)
    if (versions.length > 0) return `${text}: only ${versions.slice(0, 5).join(', ')} is there`
    const providers = this.#universe.offers(relation).map(candidate => candidate.name)
    if (providers.length > 0)
      return `${text}: provided by ${providers.slice(0, 5).join(', ')}, but not in that version`
    return `${text}: no such package`
  }

  #failure(parent: Candidate, group: Alternatives, lacks: (string | Failure)[]): Failure {
    return { package: parent, wants: group.map(formatRelation).join(' | '), lacks, ...culpritsOf(lacks) }
  }

  #negatives(candidate: Candidate): Relation[] {
    const known = this.#parsed.get(candidate)
    if (known) return known
    const negatives = negativesOf(candidate)
    this.#parsed.set(candidate, negatives)
    return negatives
  }

  #push(selected: Selected): void {
    const { candidate } = selected
    this.#trail.push(selected)
    this.#selected.add(candidate)
    for (const relation of this.#negatives(candidate)) {
      const refusals = this.#refusals.get(relation.name)
      if (refusals) refusals.push({ by: candidate, relation })
      else this.#refusals.set(relation.name, [{ by: candidate, relation }])
    }
  }

  #undo(length: number): void {
    while (this.#trail.length > length) {
      const selected = this.#trail.pop()
      if (!selected) return
      this.#selected.delete(selected.candidate)
      for (const relation of this.#negatives(selected.candidate)) {
        const refusals = this.#refusals.get(relation.name)
        const at = refusals?.findLastIndex(refusal => refusal.by === selected.candidate) ?? -1
        if (at >= 0) refusals?.splice(at, 1)
      }
    }
  }
}

/** Packages that stand in the way anywhere beneath: without them another attempt may succeed. */
function culpritsOf(lacks: (string | Failure)[]): { culprits?: Set<Candidate> } {
  const failures = lacks.filter(lack => typeof lack !== 'string' && lack.culprits !== undefined) as Failure[]
  if (failures.length === 0) return {}
  return { culprits: new Set(failures.flatMap(failure => [...(failure.culprits ?? [])])) }
}

function tooMuch(what: string, candidate: Candidate): AirgapError {
  return new AirgapError('UNRESOLVABLE', what, {
    item: itemOf(candidate),
    likely: 'packages that refuse each other in many ways, or an archive that contradicts itself',
    next: 'ask by name for the alternatives that you want, or split the packages into two entries',
  })
}
