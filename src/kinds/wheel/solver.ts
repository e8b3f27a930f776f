import { AirgapError, isErrorCode } from '../../core/errors.ts'
import { type Candidate, type CandidateRules, filesFor } from './candidates.ts'
import {
  type Criteria,
  type Criterion,
  identifierOf,
  matchesOf,
  type Pin,
  projectOf,
  satisfiesAll,
  type Wish,
} from './criteria.ts'
import { environmentsOf, isWanted } from './environment.ts'
import type { PackageIndex } from './package-index.ts'
import { nextToPin } from './preference.ts'
import type { Requirement } from './requirement.ts'
import { unsatisfied } from './unsatisfied.ts'

/** A package of the closure and why it is there. */
export interface Chosen {
  candidate: Candidate
  requested: boolean
  /** project that pulled it in */
  because?: string
}

export interface Question {
  requirements: readonly { requirement: Requirement; at: string }[]
  constraints: readonly Requirement[]
  rules: CandidateRules
  /** where it was asked for, for messages */
  at: string
}

/** One step of the search. */
interface State {
  /** in the order in which they were chosen */
  pins: Map<string, Pin>
  criteria: Criteria
}

/** Large closures have a few hundred projects; more rounds than this is a search without end. */
const maxRounds = 50_000

/** Nothing that is left fits all of these. */
class Conflict {
  readonly identifier: string
  readonly wishes: readonly Wish[]
  readonly criteria: Criteria
  constructor(identifier: string, wishes: readonly Wish[], criteria: Criteria) {
    this.identifier = identifier
    this.wishes = wishes
    this.criteria = criteria
  }
}

/**
 * What pip would install. The search is that of resolvelib, which pip has: the newest version that fits is chosen, a choice that later
 * wishes do not take is made anew, and where nothing is left the search goes back to the last choice that wished for what failed.
 * Throws UNRESOLVABLE with the wishes that contradict each other.
 */
export async function solve(index: PackageIndex, question: Question): Promise<Chosen[]> {
  const { rules } = question
  const environments = environmentsOf(rules.target)
  const constraints = new Map<string, Requirement[]>()
  for (const one of question.constraints) {
    if (!isWanted(one.marker, { environments, extras: new Set() })) continue
    constraints.set(one.project, [...(constraints.get(one.project) ?? []), one])
  }
  const known = new Map<string, Promise<ReturnType<typeof filesFor>>>()
  const wishesOf = new Map<string, Wish[]>()
  /** a version whose metadata is no good is passed over; told where nothing else is left */
  let broken: AirgapError | undefined
  let failure: { conflict: Conflict; depth: number } | undefined
  const order = new Map<string, number>()

  const roots: Wish[] = []
  for (const { requirement, at } of question.requirements) {
    if (!isWanted(requirement.marker, { environments, extras: new Set() })) continue
    const wish = { requirement, parent: undefined, by: at }
    roots.push(wish)
    const identifier = identifierOf(requirement)
    if (!order.has(identifier)) order.set(identifier, order.size)
  }
  const first = await withWishes(new Map(), roots)
  if (first instanceof Conflict) throw await told(first)
  const states: State[] = [1, 2].map(() => ({ pins: new Map(), criteria: new Map(first) }))
  let causes: ReadonlySet<string> = new Set()
  const depths = new Map<string, number>()
  for (let round = 0; round < maxRounds; round++) {
    const state = states.at(-1)!
    const open = [...state.criteria].filter(([name, criterion]) => !isSatisfied(state, { name, criterion }))
    if (open.length === 0) return result(state)
    const pinned = new Set([...state.criteria.keys()].filter(name => !open.some(([other]) => other === name)))
    const name = nextToPin(open, { order, causes, depths })
    const conflicts = await pin(state, name)
    if (conflicts.length === 0) {
      const stale = new Set(
        [...state.criteria]
          .filter(([key, criterion]) => pinned.has(key) && !isSatisfied(state, { name: key, criterion }))
          .map(([key]) => key),
      )
      forget(state, stale)
      states.push({ pins: new Map(state.pins), criteria: new Map(state.criteria) })
      continue
    }
    if (failure === undefined || state.pins.size > failure.depth)
      failure = { conflict: conflicts[0]!, depth: state.pins.size }
    causes = new Set(
      conflicts.flatMap(({ identifier, wishes }) => [
        identifier,
        ...wishes.flatMap(wish => wish.parent ?? []),
      ]),
    )
    if (!(await backjump(causes))) throw broken ?? (await told(failure.conflict))
  }
  throw new AirgapError('UNRESOLVABLE', `no answer after ${maxRounds} choices`, {
    item: question.at,
    likely: 'requirements that leave too much open and contradict each other deep down',
    next: 'pin the versions that matter, in the requirements or as constraints',
  })

  function available(project: string): Promise<ReturnType<typeof filesFor>> {
    const found = known.get(project)
    if (found !== undefined) return found
    const made = index.files(project).then(files => filesFor(project, files, rules))
    made.catch(() => undefined)
    known.set(project, made)
    return made
  }

  /** What a version wishes for, of itself and of the extras in its name. */
  async function dependencies(name: string, candidate: Candidate): Promise<Wish[]> {
    const key = `${name} ${candidate.file.filename}`
    const found = wishesOf.get(key)
    if (found !== undefined) return found
    const { parsed } = await index.metadata(candidate.file)
    const { project, extras } = projectOf(name)
    const by = `${name} ${candidate.version.text}`
    const wishes = parsed.requires
      .filter(one => isWanted(one.marker, { environments, extras: new Set(extras) }))
      .map((requirement): Wish => ({ requirement, parent: name, by }))
    if (extras.length > 0) {
      const itself = { project, extras: [], specifiers: [], hashes: [], text: project }
      wishes.unshift({ requirement: itself, parent: name, by, exactly: candidate })
    }
    wishesOf.set(key, wishes)
    return wishes
  }

  async function withWishes(before: Criteria, wishes: readonly Wish[]): Promise<Criteria | Conflict> {
    const criteria = new Map(before)
    const pages = await Promise.all(wishes.map(wish => available(wish.requirement.project)))
    for (const [i, wish] of wishes.entries()) {
      const name = identifierOf(wish.requirement)
      const old = criteria.get(name)
      const all = [...(old?.wishes ?? []), wish]
      const incompatible = old?.incompatible ?? new Set()
      const candidates = matchesOf(name, {
        ...pages[i]!,
        wishes: all,
        incompatible,
        criteria,
        constraints,
        rules,
      })
      if (candidates.length === 0) return new Conflict(name, all, criteria)
      criteria.set(name, { candidates, wishes: all, incompatible })
      prefetch(name, candidates[0]!)
    }
    return criteria
  }

  /** Metadata, and the pages of what it asks for, before the search comes to it. */
  function prefetch(name: string, candidate: Candidate): void {
    void dependencies(name, candidate)
      .then(wishes => Promise.all(wishes.map(wish => available(wish.requirement.project))))
      .catch(() => undefined)
  }

  async function pin(state: State, name: string): Promise<Conflict[]> {
    const criterion = state.criteria.get(name)!
    const conflicts: Conflict[] = []
    for (const candidate of criterion.candidates) {
      let wishes: Wish[]
      try {
        wishes = await dependencies(name, candidate)
      } catch (error) {
        if (!isErrorCode(error, 'UPSTREAM_INVALID') && !isErrorCode(error, 'UNSUPPORTED')) throw error
        broken ??= error as AirgapError
        conflicts.push(new Conflict(name, criterion.wishes, state.criteria))
        continue
      }
      const criteria = await withWishes(state.criteria, wishes)
      if (criteria instanceof Conflict) {
        conflicts.push(criteria)
        continue
      }
      state.criteria = criteria
      state.pins.delete(name)
      state.pins.set(name, {
        name,
        candidate,
        wishes: new Set(wishes.map(wish => identifierOf(wish.requirement))),
      })
      return []
    }
    return conflicts
  }

  /** Back to the last choice that wished for one of these; it is not made again. */
  async function backjump(names: ReadonlySet<string>): Promise<boolean> {
    while (states.length >= 3) {
      states.pop()
      let bad: State | undefined
      let last: Pin | undefined
      for (;;) {
        bad = states.pop()
        last = bad === undefined ? undefined : [...bad.pins.values()].at(-1)
        if (bad === undefined || last === undefined) return false
        if ([...last.wishes].some(name => names.has(name))) break
      }
      const before = states.at(-1)
      if (before === undefined) return false
      const next = { pins: new Map(before.pins), criteria: new Map(before.criteria) }
      states.push(next)
      const excluded = new Map(
        [...bad.criteria].map(([name, { incompatible }]) => [name, new Set(incompatible)]),
      )
      excluded.set(last.name, new Set([...(excluded.get(last.name) ?? []), last.candidate]))
      if (await exclude(next, excluded)) return true
    }
    return false
  }

  async function exclude(
    state: State,
    excluded: ReadonlyMap<string, ReadonlySet<Candidate>>,
  ): Promise<boolean> {
    for (const [name, candidates] of excluded) {
      const old = state.criteria.get(name)
      if (old === undefined || candidates.size === 0) continue
      const incompatible = new Set([...candidates, ...old.incompatible])
      const { project } = projectOf(name)
      const page = await available(project)
      const left = matchesOf(name, {
        ...page,
        wishes: old.wishes,
        incompatible,
        criteria: state.criteria,
        constraints,
        rules,
      })
      if (left.length === 0) return false
      state.criteria.set(name, { candidates: left, wishes: old.wishes, incompatible })
      prefetch(name, left[0]!)
    }
    return true
  }

  function isSatisfied(
    { pins }: State,
    { name, criterion }: { name: string; criterion: Criterion },
  ): boolean {
    const pin = pins.get(name)
    return pin !== undefined && satisfiesAll(pin.candidate, criterion.wishes)
  }

  async function told({ identifier, wishes, criteria }: Conflict): Promise<AirgapError> {
    const { project } = projectOf(identifier)
    const { candidates, lacks } = await available(project)
    const all = new Map<string, Wish[]>()
    for (const [name, criterion] of criteria) {
      const key = projectOf(name).project
      all.set(key, [...(all.get(key) ?? []), ...criterion.wishes])
    }
    all.set(project, [...new Set([...(all.get(project) ?? []), ...wishes])])
    return unsatisfied(project, { wishes: all, candidates, lacks, constraints, question })
  }
}

/** What was chosen and has to be chosen anew wishes for nothing any more. */
function forget({ criteria }: State, stale: ReadonlySet<string>): void {
  if (stale.size === 0) return
  for (const [name, criterion] of criteria) {
    const wishes = criterion.wishes.filter(wish => wish.parent === undefined || !stale.has(wish.parent))
    if (wishes.length < criterion.wishes.length) criteria.set(name, { ...criterion, wishes })
  }
}

/** What the requirements lead to; choices that nobody wishes for any more are left out. */
function result({ pins, criteria }: State): Chosen[] {
  const reached = new Set<string>()
  const from = new Map<string | undefined, string[]>()
  for (const [name, { wishes }] of criteria)
    for (const { parent } of wishes) from.set(parent, [...(from.get(parent) ?? []), name])
  const queue = [...(from.get(undefined) ?? [])]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (reached.has(name)) continue
    reached.add(name)
    queue.push(...(from.get(name) ?? []))
  }
  const chosen = new Map<string, Chosen>()
  for (const [name, { candidate }] of pins) {
    if (!reached.has(name)) continue
    const wishes = criteria.get(name)!.wishes
    const { project } = projectOf(name)
    const before = chosen.get(project)
    const requested = before?.requested === true || wishes.some(wish => wish.parent === undefined)
    const parents = wishes.flatMap(({ parent }) =>
      parent !== undefined && reached.has(parent) ? [projectOf(parent).project] : [],
    )
    const because = before?.because ?? parents.find(parent => parent !== project)
    chosen.set(project, { candidate, requested, ...(because === undefined ? {} : { because }) })
  }
  return [...chosen.values()].map(({ because, ...one }) => ({
    ...one,
    ...(one.requested || because === undefined ? {} : { because }),
  }))
}
