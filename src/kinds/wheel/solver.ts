import { defined } from '../../core/defined.ts'
import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { type Candidate, filesFor } from './candidates.ts'
import {
  type Criteria,
  type Criterion,
  identifierOf,
  matchesOf,
  type Pin,
  projectOf,
  type RequirementInformation,
  type ResolutionRequest,
  satisfiesAll,
} from './criteria.ts'
import { environmentsOf, isWanted } from './environment.ts'
import { explainConflict } from './explain.ts'
import { nextToPin } from './get-preference.ts'
import type { PackageIndex } from './package-index.ts'
import type { Requirement } from './requirement.ts'

/** A distribution of the closure, and why it is in it. */
export interface Chosen {
  candidate: Candidate
  requested: boolean
  /** project that pulled it in */
  because?: string
}

/** One step of the search (resolvelib's State). */
interface State {
  /** in the order in which they were pinned */
  pins: Map<string, Pin>
  criteria: Criteria
}

/** Large closures have a few hundred projects; bounds a search that would not end. */
const maxRounds = 50_000

/** No remaining candidate satisfies all of these (resolvelib's RequirementsConflicted). */
class Conflict {
  readonly identifier: string
  readonly information: readonly RequirementInformation[]
  readonly criteria: Criteria
  constructor(identifier: string, information: readonly RequirementInformation[], criteria: Criteria) {
    this.identifier = identifier
    this.information = information
    this.criteria = criteria
  }
}

/**
 * Returns what pip would install. The search is that of resolvelib, which pip uses: pin the newest candidate, pin again what
 * later requirements exclude, and where no candidate is left jump back to the last pin that required what failed.
 * Throws UNRESOLVABLE with the contradicting requirements.
 */
export async function solve(index: PackageIndex, request: ResolutionRequest): Promise<Chosen[]> {
  const { rules } = request
  const environments = environmentsOf(rules.target)
  const constraints = new Map<string, Requirement[]>()
  for (const one of request.constraints) {
    if (!isWanted(one.marker, { environments, extras: new Set() })) continue
    constraints.set(one.project, [...(constraints.get(one.project) ?? []), one])
  }
  const known = new Map<string, Promise<ReturnType<typeof filesFor>>>()
  const informationOf = new Map<string, RequirementInformation[]>()
  /** first error of a version whose metadata cannot be used; reported where no other version is left */
  let broken: AirgapError | undefined
  let failure: { conflict: Conflict; depth: number } | undefined
  const order = new Map<string, number>()

  const roots: RequirementInformation[] = []
  for (const { requirement, at } of request.requirements) {
    if (!isWanted(requirement.marker, { environments, extras: new Set() })) continue
    roots.push({ requirement, parent: undefined, by: at })
    const identifier = identifierOf(requirement)
    if (!order.has(identifier)) order.set(identifier, order.size)
  }
  const first = await addToCriteria(new Map(), roots)
  if (first instanceof Conflict) throw await conflictError(first)
  const states: State[] = [1, 2].map(() => ({ pins: new Map(), criteria: new Map(first) }))
  let causes: ReadonlySet<string> = new Set()
  const depths = new Map<string, number>()
  for (let round = 0; round < maxRounds; round++) {
    const state = states.at(-1)!
    const open = [...state.criteria].filter(([name, criterion]) => !isSatisfied(state, { name, criterion }))
    if (open.length === 0) return buildResult(state)
    const pinned = new Set([...state.criteria.keys()].filter(name => !open.some(([other]) => other === name)))
    const name = nextToPin(open, { order, causes, depths })
    const conflicts = await attemptToPin(state, name)
    if (conflicts.length === 0) {
      const stale = new Set(
        [...state.criteria]
          .filter(([key, criterion]) => pinned.has(key) && !isSatisfied(state, { name: key, criterion }))
          .map(([key]) => key),
      )
      removeInformationOf(state, stale)
      states.push({ pins: new Map(state.pins), criteria: new Map(state.criteria) })
      continue
    }
    if (failure === undefined || state.pins.size > failure.depth)
      failure = { conflict: conflicts[0]!, depth: state.pins.size }
    causes = new Set(
      conflicts.flatMap(({ identifier, information }) => [
        identifier,
        ...information.flatMap(one => one.parent ?? []),
      ]),
    )
    if (!(await backjump(causes))) throw broken ?? (await conflictError(failure.conflict))
  }
  throw new AirgapError('UNRESOLVABLE', `no solution after ${maxRounds} choices`, {
    item: request.at,
    likely: 'loose requirements that contradict each other deep in the dependencies',
    next: 'pin the important versions, in the requirements or as constraints',
  })

  function available(project: string): Promise<ReturnType<typeof filesFor>> {
    const found = known.get(project)
    if (found !== undefined) return found
    const made = index.files(project).then(files => filesFor(project, files, rules))
    made.catch(() => undefined)
    known.set(project, made)
    return made
  }

  /** The requirements of a candidate, including those of the extras in its identifier. */
  async function dependencies(name: string, candidate: Candidate): Promise<RequirementInformation[]> {
    const key = `${name} ${candidate.file.filename}`
    const found = informationOf.get(key)
    if (found !== undefined) return found
    const { parsed } = await index.metadata(candidate.file)
    const { project, extras } = projectOf(name)
    const by = `${name} ${candidate.version.text}`
    const information = parsed.requires
      .filter(one => isWanted(one.marker, { environments, extras: new Set(extras) }))
      .map((requirement): RequirementInformation => ({ requirement, parent: name, by }))
    if (extras.length > 0) {
      const itself = { project, extras: [], specifiers: [], hashes: [], text: project }
      information.unshift({ requirement: itself, parent: name, by, exactly: candidate })
    }
    informationOf.set(key, information)
    return information
  }

  async function addToCriteria(
    before: Criteria,
    information: readonly RequirementInformation[],
  ): Promise<Criteria | Conflict> {
    const criteria = new Map(before)
    const pages = await Promise.all(information.map(one => available(one.requirement.project)))
    for (const [i, one] of information.entries()) {
      const name = identifierOf(one.requirement)
      const old = criteria.get(name)
      const all = [...(old?.information ?? []), one]
      const incompatibilities = old?.incompatibilities ?? new Set()
      const candidates = matchesOf(name, {
        ...pages[i]!,
        information: all,
        incompatibilities,
        criteria,
        constraints,
        rules,
      })
      if (candidates.length === 0) return new Conflict(name, all, criteria)
      criteria.set(name, { candidates, information: all, incompatibilities })
      prefetch(name, candidates[0]!)
    }
    return criteria
  }

  /** Fetches metadata and the index pages of its requirements ahead of the search. */
  function prefetch(name: string, candidate: Candidate): void {
    void dependencies(name, candidate)
      .then(information => Promise.all(information.map(one => available(one.requirement.project))))
      .catch(() => undefined)
  }

  async function attemptToPin(state: State, name: string): Promise<Conflict[]> {
    const criterion = state.criteria.get(name)!
    const conflicts: Conflict[] = []
    for (const candidate of criterion.candidates) {
      let information: RequirementInformation[]
      try {
        information = await dependencies(name, candidate)
      } catch (error) {
        if (!isErrorCode(error, 'UPSTREAM_INVALID') && !isErrorCode(error, 'UNSUPPORTED')) throw error
        broken ??= error as AirgapError
        conflicts.push(new Conflict(name, criterion.information, state.criteria))
        continue
      }
      const criteria = await addToCriteria(state.criteria, information)
      if (criteria instanceof Conflict) {
        conflicts.push(criteria)
        continue
      }
      state.criteria = criteria
      state.pins.delete(name)
      state.pins.set(name, {
        name,
        candidate,
        dependencies: new Set(information.map(one => identifierOf(one.requirement))),
      })
      return []
    }
    return conflicts
  }

  /** Reverts to the last pin that required one of these, and excludes its candidate. Returns false where none is left. */
  async function backjump(names: ReadonlySet<string>): Promise<boolean> {
    while (states.length >= 3) {
      states.pop()
      let bad: State | undefined
      let last: Pin | undefined
      for (;;) {
        bad = states.pop()
        last = bad === undefined ? undefined : [...bad.pins.values()].at(-1)
        if (bad === undefined || last === undefined) return false
        if ([...last.dependencies].some(name => names.has(name))) break
      }
      const before = states.at(-1)
      if (before === undefined) return false
      const next = { pins: new Map(before.pins), criteria: new Map(before.criteria) }
      states.push(next)
      const excluded = new Map(
        [...bad.criteria].map(([name, { incompatibilities }]) => [name, new Set(incompatibilities)]),
      )
      excluded.set(last.name, new Set([...(excluded.get(last.name) ?? []), last.candidate]))
      if (await patchCriteria(next, excluded)) return true
    }
    return false
  }

  async function patchCriteria(
    state: State,
    excluded: ReadonlyMap<string, ReadonlySet<Candidate>>,
  ): Promise<boolean> {
    for (const [name, candidates] of excluded) {
      const old = state.criteria.get(name)
      if (old === undefined || candidates.size === 0) continue
      const incompatibilities = new Set([...candidates, ...old.incompatibilities])
      const { project } = projectOf(name)
      const page = await available(project)
      const left = matchesOf(name, {
        ...page,
        information: old.information,
        incompatibilities,
        criteria: state.criteria,
        constraints,
        rules,
      })
      if (left.length === 0) return false
      state.criteria.set(name, { candidates: left, information: old.information, incompatibilities })
      prefetch(name, left[0]!)
    }
    return true
  }

  function isSatisfied(
    { pins }: State,
    { name, criterion }: { name: string; criterion: Criterion },
  ): boolean {
    const pin = pins.get(name)
    return pin !== undefined && satisfiesAll(pin.candidate, criterion.information)
  }

  async function conflictError({ identifier, information, criteria }: Conflict): Promise<AirgapError> {
    const { project } = projectOf(identifier)
    const { candidates, unusable } = await available(project)
    const all = new Map<string, RequirementInformation[]>()
    for (const [name, criterion] of criteria) {
      const key = projectOf(name).project
      all.set(key, [...(all.get(key) ?? []), ...criterion.information])
    }
    all.set(project, [...new Set([...(all.get(project) ?? []), ...information])])
    return explainConflict(project, { information: all, candidates, unusable, constraints, request })
  }
}

/** Drops the requirements of pins that have to be pinned again. */
function removeInformationOf({ criteria }: State, stale: ReadonlySet<string>): void {
  if (stale.size === 0) return
  for (const [name, criterion] of criteria) {
    const information = criterion.information.filter(
      one => one.parent === undefined || !stale.has(one.parent),
    )
    if (information.length < criterion.information.length) criteria.set(name, { ...criterion, information })
  }
}

/** The pins that are reachable from the manifest's requirements (resolvelib's _build_result). */
function buildResult({ pins, criteria }: State): Chosen[] {
  const reached = new Set<string>()
  const from = new Map<string | undefined, string[]>()
  for (const [name, { information }] of criteria)
    for (const { parent } of information) from.set(parent, [...(from.get(parent) ?? []), name])
  const queue = [...(from.get(undefined) ?? [])]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (reached.has(name)) continue
    reached.add(name)
    queue.push(...(from.get(name) ?? []))
  }
  const chosen = new Map<string, Chosen>()
  for (const [name, { candidate }] of pins) {
    if (!reached.has(name)) continue
    const information = criteria.get(name)!.information
    const { project } = projectOf(name)
    const before = chosen.get(project)
    const requested = before?.requested === true || information.some(one => one.parent === undefined)
    const parents = information.flatMap(({ parent }) =>
      parent !== undefined && reached.has(parent) ? [projectOf(parent).project] : [],
    )
    const because = before?.because ?? parents.find(parent => parent !== project)
    chosen.set(project, defined({ candidate, requested, because }))
  }
  return [...chosen.values()].map(one =>
    defined({ ...one, because: one.requested ? undefined : one.because }),
  )
}
