import { AirgapError } from '../../core/errors.ts'
import { type Candidate, type CandidateRules, choosable, filesFor } from './candidates.ts'
import { environmentsOf, isWanted } from './environment.ts'
import type { PackageIndex } from './package-index.ts'
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

/** Someone's wish for a project. */
export interface Wish {
  requirement: Requirement
  /** project; undefined: the manifest */
  parent: string | undefined
  /** who, for messages */
  by: string
}

/** One step of the search: a project and the version chosen for it. */
interface Pin {
  project: string
  candidate: Candidate
  /** versions not tried yet */
  rest: Candidate[]
  /** wishes as they were before this pin */
  before: Map<string, Wish[]>
}

/** Large closures have a few hundred projects; more rounds than this is a search without end. */
const maxRounds = 20_000

/**
 * What pip would install: the newest version of each project that all wishes take, depth first, taking choices back where
 * they lead nowhere. Like resolvelib, a conflict sends the search back to the last choice that had a part in it.
 * Throws UNRESOLVABLE with the wishes that contradict each other.
 */
export async function solve(index: PackageIndex, question: Question): Promise<Chosen[]> {
  const environments = environmentsOf(question.rules.target)
  const constraints = new Map<string, Requirement[]>()
  for (const one of question.constraints) {
    if (!isWanted(one.marker, { environments, extras: new Set() })) continue
    constraints.set(one.project, [...(constraints.get(one.project) ?? []), one])
  }
  let wishes = new Map<string, Wish[]>()
  for (const { requirement, at } of question.requirements) {
    if (isWanted(requirement.marker, { environments, extras: new Set() }))
      addWish(wishes, { requirement, parent: undefined, by: at })
  }
  const available = async (project: string) => {
    const { candidates, lacks } = filesFor(project, await index.files(project), question.rules)
    const own = wishes.get(project) ?? []
    const all = [...own.map(wish => wish.requirement), ...(constraints.get(project) ?? [])]
    return { candidates, lacks, fitting: choosable(candidates, all, question.rules) }
  }
  const pins: Pin[] = []
  let failure: AirgapError | undefined
  for (let round = 0; ; round++) {
    if (round > maxRounds) throw tooMuch(question)
    const project = nextProject(wishes, pins)
    if (project === undefined) break
    const { candidates, lacks, fitting } = await available(project)
    const pin = { project, rest: fitting, before: wishes }
    const culprits = await choose(pin)
    if (culprits === undefined) continue
    failure ??= unsatisfied(project, {
      wishes,
      candidates,
      lacks,
      constraints,
      question,
    })
    // back to the last choice that had a part in the conflict
    for (;;) {
      const last = pins.pop()
      if (last === undefined) throw failure
      wishes = last.before
      if (!culprits.has(last.project)) continue
      for (const more of parentsOf(last.project, last.before)) culprits.add(more)
      const further = await choose(last)
      if (further === undefined) break
      for (const more of further) culprits.add(more)
    }
  }
  return result(pins, wishes)

  /** Pins the first version whose requirements agree with all pins; else the projects that stand in its way. */
  async function choose({ project, rest, before }: Omit<Pin, 'candidate'>): Promise<Set<string> | undefined> {
    const culprits = parentsOf(project, before)
    for (const [i, candidate] of rest.entries()) {
      const next = await withRequirementsOf(candidate, before)
      const clash = clashOf(next, [...pins, { project, candidate }])
      if (clash === undefined) {
        pins.push({ project, candidate, rest: rest.slice(i + 1), before })
        wishes = next
        prefetch(next)
        return undefined
      }
      for (const one of clash) culprits.add(one)
    }
    culprits.delete(project)
    return culprits
  }

  /** The wishes of a new pin; of the others those that an extra brings which it asks for. */
  async function withRequirementsOf(
    candidate: Candidate,
    before: Map<string, Wish[]>,
  ): Promise<Map<string, Wish[]>> {
    const next = new Map(before)
    const all = [...pins.map(pin => pin.candidate), candidate]
    for (let added = true; added; ) {
      added = false
      for (const one of all) {
        const { parsed } = await index.metadata(one.file)
        const extras = extrasOf(one.project, next)
        for (const requirement of parsed.requires) {
          if (!isWanted(requirement.marker, { environments, extras })) continue
          const known = next.get(requirement.project)?.some(wish => wish.requirement === requirement)
          if (known) continue
          addWish(next, { requirement, parent: one.project, by: `${one.project} ${one.version.text}` })
          added = true
        }
      }
    }
    return next
  }

  /** A pin that a wish does not take, or that an extra was added to after it was pinned: who stands in the way. */
  function clashOf(
    next: Map<string, Wish[]>,
    all: readonly Pick<Pin, 'project' | 'candidate'>[],
  ): Set<string> | undefined {
    for (const { project, candidate } of all) {
      const own = next.get(project) ?? []
      const requirements = [...own.map(wish => wish.requirement), ...(constraints.get(project) ?? [])]
      if (choosable([candidate], requirements, question.rules).length === 0)
        return new Set([project, ...own.flatMap(wish => wish.parent ?? [])])
    }
    return undefined
  }

  /** Pages and metadata that will be asked for next, all at once. */
  function prefetch(next: Map<string, Wish[]>): void {
    for (const [project, own] of next) {
      if (pins.some(pin => pin.project === project)) continue
      void index
        .files(project)
        .then(files => {
          const { candidates } = filesFor(project, files, question.rules)
          const [first] = choosable(
            candidates,
            own.map(wish => wish.requirement),
            question.rules,
          )
          return first === undefined ? undefined : index.metadata(first.file)
        })
        .catch(() => undefined)
    }
  }
}

function addWish(wishes: Map<string, Wish[]>, wish: Wish): void {
  const { project } = wish.requirement
  wishes.set(project, [...(wishes.get(project) ?? []), wish])
}

function extrasOf(project: string, wishes: Map<string, Wish[]>): Set<string> {
  return new Set((wishes.get(project) ?? []).flatMap(wish => wish.requirement.extras))
}

function parentsOf(project: string, wishes: Map<string, Wish[]>): Set<string> {
  return new Set((wishes.get(project) ?? []).flatMap(wish => wish.parent ?? []))
}

/**
 * Those with an exact version first, then those asked for by name, then as they came up: as pip prefers.
 */
function nextProject(wishes: Map<string, Wish[]>, pins: readonly Pin[]): string | undefined {
  const pinned = new Map(pins.map(pin => [pin.project, pin]))
  let best: { project: string; score: number } | undefined
  for (const [project, own] of wishes) {
    if (pinned.has(project)) continue
    const isExact = own.some(({ requirement }) =>
      requirement.specifiers.some(one => one.operator === '===' || (one.operator === '==' && !one.wildcard)),
    )
    const score = (isExact ? 0 : 2) + (own.some(wish => wish.parent === undefined) ? 0 : 1)
    if (best === undefined || score < best.score) best = { project, score }
  }
  return best?.project
}

function result(pins: readonly Pin[], wishes: Map<string, Wish[]>): Chosen[] {
  return pins.map(({ project, candidate }) => {
    const own = wishes.get(project) ?? []
    const requested = own.some(wish => wish.parent === undefined)
    const because = own.find(wish => wish.parent !== undefined)?.parent
    return { candidate, requested, ...(requested || because === undefined ? {} : { because }) }
  })
}

function tooMuch(question: Question): AirgapError {
  return new AirgapError('UNRESOLVABLE', `no answer after ${maxRounds} choices`, {
    item: question.at,
    likely: 'requirements that leave too much open and contradict each other deep down',
    next: 'pin the versions that matter, in the requirements or as constraints',
  })
}
