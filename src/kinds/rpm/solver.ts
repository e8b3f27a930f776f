import type { RpmRelation } from './candidate.ts'
import { clausesOf } from './normal-form.ts'
import { type Decisions, makePolicy } from './policy.ts'
import { isRich } from './rich.ts'
import type { Rule } from './rules.ts'
import type { Id, Universe } from './universe.ts'

export interface SolveOptions {
  /** of packages, then of the machine's own: jobs come after them */
  rules: readonly Rule[]
  /** one package of each must be taken, in this order */
  jobs: readonly Rule[]
  weak: boolean
}

/** `proof`: the rules that together cannot hold. */
export type Solution = { selected: Id[] } | { proof: Rule[] }

const unsolvable = -1

/**
 * Conflict-driven search with learning, after libsolv's solver.c: the same rules in the same order, the same choices, so that
 * the same packages come out as dnf takes. Rules are watched by two literals; a conflict adds the rule that would have
 * prevented it (first unique implication point) and goes back as far as that rule reaches.
 */
export function solve(universe: Universe, options: SolveOptions): Solution {
  const rules: Rule[] = [...options.rules, ...options.jobs]
  const jobStart = options.rules.length
  const jobEnd = rules.length
  const level: Int32Array = new Int32Array(universe.count + 1)
  const order: number[] = []
  /** index of the rule that made each decision; -1: a free choice */
  const why: number[] = []
  const branches: { level: number; options: Id[] }[] = []
  /** indexes of learnt rules → the rules that they follow from */
  const premises = new Map<number, number[]>()
  const watches: number[][] = Array.from({ length: 2 * universe.count + 1 }, () => [])
  const watched: [number, number][] = []
  let propagated = 0
  let proof: Rule[] = []

  const decisions: Decisions = { of: id => level[id]!, order }
  const policy = makePolicy(universe, decisions)
  const isTrue = (literal: number) => (literal > 0 ? level[literal]! > 0 : level[-literal]! < 0)
  const isFalse = (literal: number) => (literal > 0 ? level[literal]! < 0 : level[-literal]! > 0)
  const watchesOf = (literal: number) => watches[literal + universe.count]!

  const decide = (literal: number, at: number, rule: number) => {
    level[Math.abs(literal)] = literal > 0 ? at : -at
    order.push(literal)
    why.push(rule)
  }
  const revert = (to: number) => {
    while (order.length > 0 && Math.abs(level[Math.abs(order.at(-1)!)]!) > to) {
      level[Math.abs(order.pop()!)] = 0
      why.pop()
    }
    while (branches.length > 0 && branches.at(-1)!.level >= to) branches.pop()
    propagated = Math.min(propagated, order.length)
    policy.reset()
  }

  const watch = (index: number) => {
    const { literals } = rules[index]!
    if (literals.length < 2) return
    const pair: [number, number] = [literals[0]!, literals[1]!]
    if (rules[index]!.reason === 'learnt') {
      // the literal that was decided last, so that going back frees it first
      const highest = literals
        .slice(1)
        .reduce((a, b) => (Math.abs(level[Math.abs(b)]!) > Math.abs(level[Math.abs(a)]!) ? b : a))
      pair[1] = highest
    }
    watched[index] = pair
    watchesOf(pair[0]).push(index)
    watchesOf(pair[1]).push(index)
  }

  /** Follows what is decided; the index of a rule that cannot hold, or undefined. */
  const propagate = (at: number): number | undefined => {
    while (propagated < order.length) {
      const literal = -order[propagated++]!
      const list = watchesOf(literal)
      // from the end: what was added last comes first
      let keep = list.length
      for (let i = list.length - 1; i >= 0; i--) {
        const index = list[i]!
        const pair = watched[index]!
        const side = pair[0] === literal ? 0 : 1
        const other = pair[1 - side]!
        let moved = false
        if (!isTrue(other)) {
          for (const candidate of rules[index]!.literals) {
            if (candidate === other || isFalse(candidate)) continue
            pair[side] = candidate
            watchesOf(candidate).push(index)
            moved = true
            break
          }
          if (!moved && isFalse(other)) {
            list.copyWithin(i + 1, keep)
            list.length -= keep - (i + 1)
            return index
          }
          if (!moved) decide(other, at, index)
        }
        if (!moved) list[--keep] = index
      }
      list.copyWithin(0, keep)
      list.length -= keep
    }
    return undefined
  }

  /** All rules that a contradiction at the first level follows from. */
  const explainConflict = (index: number): number => {
    const found = new Set<number>()
    const expand = (start: number) => {
      const todo = [start]
      for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
        if (found.has(next)) continue
        found.add(next)
        todo.push(...(premises.get(next) ?? []))
      }
    }
    const involved = new Set<number>()
    const involve = (rule: number) => {
      expand(rule)
      for (const literal of rules[rule]!.literals) if (!isTrue(literal)) involved.add(Math.abs(literal))
    }
    involve(index)
    for (let i = order.length - 1; i >= 0; i--) {
      if (!involved.has(Math.abs(order[i]!)) || why[i]! < 0) continue
      const rule = why[i]!
      expand(rule)
      for (const literal of rules[rule]!.literals) if (literal !== order[i]) involved.add(Math.abs(literal))
    }
    proof = [...found].sort((a, b) => a - b).flatMap(i => (premises.has(i) ? [] : [rules[i]!]))
    return unsolvable
  }

  /** The rule that keeps this from happening again, and the level to go back to. */
  const analyze = (conflict: number, at: number): { level: number; rule: number } => {
    const seen = new Set<number>()
    const others: number[] = []
    const from: number[] = []
    let open = 0
    let atFirst = 0
    let back = 1
    let index = order.length
    let rule = conflict
    let learnt = 0
    for (;;) {
      from.push(rule)
      for (const literal of rules[rule]!.literals) {
        const id = Math.abs(literal)
        if (isTrue(literal) || seen.has(id)) continue
        seen.add(id)
        const l = Math.abs(level[id]!)
        if (l === 1) atFirst++
        else if (l === at) open++
        else {
          others.push(literal)
          back = Math.max(back, l)
        }
      }
      let next = -1
      while (next < 0) {
        if (open === 0 && atFirst === 0) break
        index--
        const id = Math.abs(order[index]!)
        if (!seen.has(id)) continue
        const l = Math.abs(level[id]!)
        if (l !== at && l !== 1) continue
        seen.delete(id)
        if (l === at) {
          open--
          if (open === 0) {
            learnt = -order[index]!
            continue
          }
        } else atFirst--
        next = why[index]!
      }
      if (next < 0) break
      rule = next
    }
    revert(back)
    const made = rules.push({ literals: [learnt, ...others], reason: 'learnt' }) - 1
    premises.set(made, from)
    watch(made)
    return { level: back, rule: made }
  }

  /** Decides, follows, learns; gives the level it ends on. */
  const take = (at: number, literal: number, rule: number): number => {
    let now = at + 1
    decide(literal, now, rule)
    for (;;) {
      const conflict = propagate(now)
      if (conflict === undefined) return now
      if (now === 1) return explainConflict(conflict)
      const learnt = analyze(conflict, now)
      now = learnt.level
      decide(rules[learnt.rule]!.literals[0]!, now, learnt.rule)
    }
  }

  const takeBest = (at: number, ids: readonly Id[]): number => {
    const best = ids.length > 1 ? policy.choose(ids) : ids
    if (best.length > 1) branches.push({ level: at, options: [-best[0]!, ...best.slice(1)] })
    return take(at, best[0]!, -1)
  }

  /** The packages of which one has to be taken; undefined where the rule holds already or does not apply. */
  const openOf = (rule: Rule): Id[] | undefined => {
    const open: Id[] = []
    for (const literal of rule.literals) {
      if (literal < 0) {
        if (level[-literal]! <= 0) return undefined
      } else if (level[literal]! > 0) return undefined
      else if (level[literal] === 0) open.push(literal)
    }
    return open.length === 0 ? undefined : open
  }

  const resolveJobs = (start: number): number => {
    let at = start
    for (let i = jobStart; i < jobEnd; i++) {
      const open = openOf(rules[i]!)
      if (!open) continue
      const own = open.filter(id => id <= universe.installedEnd)
      const before = at
      at = takeBest(at, own.length > 0 ? own : open)
      if (at > before) continue
      if (at < start) return at
      i = at === before ? i - 1 : jobStart - 1
    }
    return at
  }

  const keepInstalled = (start: number): number => {
    let at = start
    for (let id = 1; id <= universe.installedEnd; id++) {
      if (level[id] !== 0) continue
      at = take(at, id, -1)
      if (at < start) return at
    }
    return at
  }

  /** What has only one good answer first; one choice at a time of the others. */
  const resolveRules = (start: number): number => {
    let at = start
    let postponed = 0
    let looking = true
    for (let i = 0, n = 0; ; i++, n++) {
      if (n >= rules.length) {
        if (!looking || postponed === 0) return at
        i = postponed - 1
        looking = false
        n = 0
      }
      if (i >= rules.length) i = 0
      let open = openOf(rules[i]!)
      if (!open) continue
      if (open.length > 1 && looking) {
        open = policy.prune(open)
        if (open.length > 1) {
          if (postponed === 0) postponed = i + 1
          continue
        }
      }
      at = takeBest(at, open)
      if (at < start) return at
      n = -1
    }
  }

  /** What would meet a `Recommends` that nothing meets yet. */
  const weakTargets = (relation: RpmRelation): Id[] => {
    const form = isRich(relation)
      ? clausesOf(universe.rich(relation), universe.providers)
      : [[...universe.providers(relation)]]
    if (typeof form === 'boolean') return []
    return form.flatMap(block => {
      if (block.some(literal => (literal > 0 ? level[literal]! > 0 : level[-literal]! <= 0))) return []
      return block.filter(literal => literal > 0 && level[literal] === 0)
    })
  }

  const resolveWeak = (start: number): { level: number; again: boolean } => {
    const recommended: Id[] = []
    let supplements: Id[] = []
    for (let id = 1; id <= universe.count; id++) {
      if (level[id]! > 0) {
        if (id <= universe.installedEnd) continue
        for (const relation of universe.candidate(id).recommends) recommended.push(...weakTargets(relation))
      } else if (
        level[id] === 0 &&
        universe.candidate(id).supplements.length > 0 &&
        policy.isSupplementing(id)
      ) {
        supplements.push(id)
      }
    }
    supplements = supplements.filter(
      id =>
        !universe
          .named(universe.candidate(id).name)
          .some(
            other =>
              level[other]! > 0 &&
              universe.candidate(other).architecture !== universe.candidate(id).architecture,
          ),
    )
    const all = [...new Set([...recommended, ...supplements])]
    if (all.length === 0) return { level: start, again: false }
    if (all.length === 1) return { level: take(start, all[0]!, -1), again: true }
    const best = new Set(policy.pruneRecommended(all))
    supplements = policy.orderSupplements(supplements.filter(id => best.has(id)))
    let at = start
    const count = order.length
    for (const id of supplements) {
      if (level[id] !== 0) continue
      const before = at
      at = take(at, id, -1)
      if (at <= before) return { level: at, again: true }
    }
    for (let i = 0; i < count; i++) {
      const id = order[i]!
      if (id <= universe.installedEnd) continue
      for (const relation of universe.candidate(id).recommends) {
        const open = weakTargets(relation).filter(one => best.has(one))
        if (open.length === 0) continue
        const before = at
        at = takeBest(at, open)
        if (at <= before || order.length < count) return { level: at, again: true }
      }
    }
    return { level: at, again: true }
  }

  /** A choice that a later one made needless: the later package could have been taken at once. */
  const minimize = (): { branch: number; option: number } | undefined => {
    let found: { branch: number; option: number } | undefined
    for (let b = branches.length - 1; b >= 0; b--) {
      const { level: at, options: choices } = branches[b]!
      const redundant = choices.findIndex(id => id > 0 && level[id]! > at)
      if (redundant >= 0) {
        found = { branch: b, option: redundant }
        continue
      }
      const wished = choices.findIndex(
        id => id > 0 && (policy.isRecommended(id) || policy.isSupplementing(id)),
      )
      if (wished < 0) continue
      const taken = choices.find(id => id < 0 && level[-id] === at + 1)
      if (taken !== undefined && !policy.isRecommended(-taken) && !policy.isSupplementing(-taken)) {
        found = { branch: b, option: wished }
      }
    }
    return found
  }
  const takeBranch = ({ branch, option }: { branch: number; option: number }): number => {
    const kept = branches[branch]!
    const id = kept.options[option]!
    kept.options[option] = -id
    revert(kept.level)
    branches.length = Math.min(branches.length, branch)
    branches.push(kept)
    return take(kept.level, id, -1)
  }

  for (let i = rules.length - 1; i >= 0; i--) watch(i)
  for (let at = 0; ; ) {
    if (at < 0) return { proof }
    if (at === 0) {
      for (const [i, { literals }] of rules.entries()) {
        if (literals.length !== 1) continue
        const literal = literals[0]!
        if (isFalse(literal)) return finish(explainConflict(i))
        if (!isTrue(literal)) decide(literal, 1, i)
      }
      at = 1
      const conflict = propagate(1)
      if (conflict !== undefined) return finish(explainConflict(conflict))
    }
    let before = at
    at = resolveJobs(at)
    if (at < before) continue
    before = at
    at = keepInstalled(at)
    if (at < before) continue
    before = at
    at = resolveRules(at)
    if (at < before) continue
    if (options.weak) {
      const weak = resolveWeak(at)
      at = weak.level
      if (weak.again) continue
    }
    const better = minimize()
    if (better) {
      at = takeBranch(better)
      continue
    }
    return { selected: order.filter(literal => literal > 0) }
  }

  function finish(_: number): Solution {
    return { proof }
  }
}
