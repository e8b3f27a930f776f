import type { RpmRelation } from './candidate.ts'
import { type Decisions, makeChooser } from './choose.ts'
import { clausesOf } from './normal-form.ts'
import { freeChoice, makePropagation, unsolvable } from './propagation.ts'
import { isRich } from './rich.ts'
import type { Rule } from './rules.ts'
import type { Id, Universe } from './universe.ts'

export interface SolveOptions {
  /** of packages, then of the installed ones: jobs come after them */
  rules: readonly Rule[]
  /** one package of each must be installed, in this order */
  jobs: readonly Rule[]
  weak: boolean
}

/** `proof`: rules that together cannot hold. */
export type Solution = { selected: Id[] } | { proof: Rule[] }

/** The alternatives of a choice; the one that was taken is negated. */
interface Branch {
  level: number
  options: Id[]
}

/**
 * Conflict-driven search with learning, after solver_run_sat of libsolv's solver.c: the same rules in the same order and the
 * same choices, so that the packages are those that dnf takes.
 */
export function solve(universe: Universe, options: SolveOptions): Solution {
  const rules: Rule[] = [...options.rules, ...options.jobs]
  const jobStart = options.rules.length
  const jobEnd = rules.length
  const branches: Branch[] = []
  const propagation = makePropagation(rules, {
    count: universe.count,
    onRevert(level) {
      while (branches.length > 0 && branches.at(-1)!.level >= level) branches.pop()
      chooser.reset()
    },
  })
  const { decisionMap, decisionQueue, setPropagateLearn } = propagation
  const decisions: Decisions = { of: id => decisionMap[id]!, order: decisionQueue }
  const chooser = makeChooser(universe, decisions)

  const selectAndInstall = (level: number, ids: readonly Id[]): number => {
    const best = ids.length > 1 ? chooser.filterUnwanted(ids) : ids
    if (best.length > 1) branches.push({ level, options: [-best[0]!, ...best.slice(1)] })
    return setPropagateLearn(level, best[0]!, freeChoice)
  }

  /** The undecided packages of a rule; undefined where the rule already holds or does not apply. */
  const undecidedOf = (rule: Rule): Id[] | undefined => {
    const undecided: Id[] = []
    for (const literal of rule.literals) {
      if (literal < 0) {
        if (decisionMap[-literal]! <= 0) return undefined
      } else if (decisionMap[literal]! > 0) return undefined
      else if (decisionMap[literal] === 0) undecided.push(literal)
    }
    return undecided.length === 0 ? undefined : undecided
  }

  const resolveJobRules = (start: number): number => {
    let level = start
    for (let i = jobStart; i < jobEnd; i++) {
      const undecided = undecidedOf(rules[i]!)
      if (!undecided) continue
      const installed = undecided.filter(id => id <= universe.installedEnd)
      const before = level
      level = selectAndInstall(level, installed.length > 0 ? installed : undecided)
      if (level > before) continue
      if (level < start) return level
      i = level === before ? i - 1 : jobStart - 1
    }
    return level
  }

  const resolveInstalled = (start: number): number => {
    let level = start
    for (let id = 1; id <= universe.installedEnd; id++) {
      if (decisionMap[id] !== 0) continue
      level = setPropagateLearn(level, id, freeChoice)
      if (level < start) return level
    }
    return level
  }

  /** Rules with one good answer first (postponing the others), then one free choice at a time. */
  const resolveDependencies = (start: number): number => {
    let level = start
    let postponed = 0
    let postponing = true
    for (let i = 0, n = 0; ; i++, n++) {
      if (n >= rules.length) {
        if (!postponing || postponed === 0) return level
        i = postponed - 1
        postponing = false
        n = 0
      }
      if (i >= rules.length) i = 0
      let undecided = undecidedOf(rules[i]!)
      if (!undecided) continue
      if (undecided.length > 1 && postponing) {
        undecided = chooser.prune(undecided)
        if (undecided.length > 1) {
          if (postponed === 0) postponed = i + 1
          continue
        }
      }
      level = selectAndInstall(level, undecided)
      if (level < start) return level
      n = -1
    }
  }

  /** Packages that would satisfy a Recommends that is not satisfied yet. */
  const recommendedBy = (relation: RpmRelation): Id[] => {
    const form = isRich(relation)
      ? clausesOf(universe.rich(relation), universe.providers)
      : [[...universe.providers(relation)]]
    if (typeof form === 'boolean') return []
    return form.flatMap(block => {
      if (block.some(literal => (literal > 0 ? decisionMap[literal]! > 0 : decisionMap[-literal]! <= 0)))
        return []
      return block.filter(literal => literal > 0 && decisionMap[literal] === 0)
    })
  }

  const isOtherArchitectureInstalled = (id: Id) => {
    const { name, architecture } = universe.candidate(id)
    return universe
      .named(name)
      .some(other => decisionMap[other]! > 0 && universe.candidate(other).architecture !== architecture)
  }

  const resolveWeak = (start: number): { level: number; again: boolean } => {
    const recommended: Id[] = []
    let supplements: Id[] = []
    for (let id = 1; id <= universe.count; id++) {
      if (decisionMap[id]! > 0) {
        if (id <= universe.installedEnd) continue
        for (const relation of universe.candidate(id).recommends) recommended.push(...recommendedBy(relation))
      } else if (
        decisionMap[id] === 0 &&
        universe.supplementing().has(id) &&
        chooser.isSupplementing(id) &&
        !isOtherArchitectureInstalled(id)
      )
        supplements.push(id)
    }
    const all = [...new Set([...recommended, ...supplements])]
    if (all.length === 0) return { level: start, again: false }
    if (all.length === 1) return { level: setPropagateLearn(start, all[0]!, freeChoice), again: true }
    const best = new Set(chooser.pruneRecommended(all))
    supplements = chooser.orderSupplements(supplements.filter(id => best.has(id)))
    let level = start
    const count = decisionQueue.length
    for (const id of supplements) {
      if (decisionMap[id] !== 0) continue
      const before = level
      level = setPropagateLearn(level, id, freeChoice)
      if (level <= before) return { level, again: true }
    }
    for (let i = 0; i < count; i++) {
      const id = decisionQueue[i]!
      if (id <= universe.installedEnd) continue
      for (const relation of universe.candidate(id).recommends) {
        const undecided = recommendedBy(relation).filter(one => best.has(one))
        if (undecided.length === 0) continue
        const before = level
        level = selectAndInstall(level, undecided)
        if (level <= before || decisionQueue.length < count) return { level, again: true }
      }
    }
    return { level, again: true }
  }

  /** A choice that a later decision made redundant: the package decided later could have been taken at once. */
  const minimize = (): { branch: number; option: number } | undefined => {
    const isWeak = (id: Id) => chooser.isRecommended(id) || chooser.isSupplementing(id)
    let found: { branch: number; option: number } | undefined
    for (let b = branches.length - 1; b >= 0; b--) {
      const { level, options: choices } = branches[b]!
      const redundant = choices.findIndex(id => id > 0 && decisionMap[id]! > level)
      if (redundant >= 0) {
        found = { branch: b, option: redundant }
        continue
      }
      const weak = choices.findIndex(id => id > 0 && isWeak(id))
      if (weak < 0) continue
      const taken = choices.find(id => id < 0 && decisionMap[-id] === level + 1)
      if (taken !== undefined && !isWeak(-taken)) found = { branch: b, option: weak }
    }
    return found
  }

  const takeBranch = ({ branch, option }: { branch: number; option: number }): number => {
    const kept = branches[branch]!
    const id = kept.options[option]!
    kept.options[option] = -id
    propagation.revert(kept.level)
    branches.length = Math.min(branches.length, branch)
    branches.push(kept)
    return setPropagateLearn(kept.level, id, freeChoice)
  }

  /** makeruledecisions: rules of one literal, at level 1. Returns false where they cannot all hold. */
  const decideUnitRules = (): boolean => {
    for (const [i, { literals }] of rules.entries()) {
      if (literals.length !== 1) continue
      const literal = literals[0]!
      if (propagation.isFalse(literal)) {
        propagation.analyzeUnsolvable(i)
        return false
      }
      if (!propagation.isTrue(literal)) propagation.decide(literal, 1, i)
    }
    const conflict = propagation.propagate(1)
    if (conflict === undefined) return true
    propagation.analyzeUnsolvable(conflict)
    return false
  }

  const phases = [resolveJobRules, resolveInstalled, resolveDependencies]
  /** Runs all phases once; a phase that reverts below its start begins the round again. */
  const runPhases = (start: number): { level: number; again: boolean } => {
    let level = start
    for (const phase of phases) {
      const before = level
      level = phase(level)
      if (level < before) return { level, again: true }
    }
    if (options.weak) {
      const weak = resolveWeak(level)
      if (weak.again) return weak
    }
    const better = minimize()
    return better ? { level: takeBranch(better), again: true } : { level, again: false }
  }

  for (let round = { level: 0, again: true }; ; ) {
    if (round.level === unsolvable) return { proof: propagation.proof() }
    if (round.level === 0) {
      if (!decideUnitRules()) return { proof: propagation.proof() }
      round.level = 1
    }
    round = runPhases(round.level)
    if (!round.again) return { selected: decisionQueue.filter(literal => literal > 0) }
  }
}
