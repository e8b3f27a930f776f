import type { Rule } from './rules.ts'

/** Index used as the reason of a decision that no rule forced: a free choice. */
export const freeChoice = -1
/** Level returned where the rules cannot all hold. */
export const unsolvable = -1

/** The decided part of a solution, and how decisions spread through the rules (libsolv, solver.c). */
export interface Propagation {
  /** package id → level at which it was decided: positive to install, negative to leave out, 0 undecided */
  readonly decisionMap: Int32Array
  /** literals in the order in which they were decided */
  readonly decisionQueue: readonly number[]
  isTrue(literal: number): boolean
  isFalse(literal: number): boolean
  decide(literal: number, level: number, reason: number): void
  /** solver_propagate: follows the undigested decisions; returns the index of a violated rule, or undefined */
  propagate(level: number): number | undefined
  /** solver_reverts: forgets all decisions above `level` */
  revert(level: number): void
  /** setpropagate_learn: decides, propagates, learns from conflicts; returns the level reached, or `unsolvable` */
  setPropagateLearn(level: number, literal: number, reason: number): number
  /** analyze_unsolvable: records the rules that together cannot hold; returns `unsolvable` */
  analyzeUnsolvable(rule: number): typeof unsolvable
  /** what analyzeUnsolvable recorded */
  proof(): Rule[]
}

/**
 * Rules are watched by two literals each. A conflict adds the learnt rule that would have prevented it (first unique
 * implication point) and reverts to the level that this rule reaches back to. `rules` grows by the learnt ones;
 * `onRevert` is called with the level after each revert.
 */
export function makePropagation(
  rules: Rule[],
  { count, onRevert }: { count: number; onRevert: (level: number) => void },
): Propagation {
  const decisionMap: Int32Array = new Int32Array(count + 1)
  const decisionQueue: number[] = []
  /** index of the rule that forced each decision */
  const decisionReasons: number[] = []
  /** index of a learnt rule → the rules that it follows from */
  const learntReasons = new Map<number, number[]>()
  const watches: number[][] = Array.from({ length: 2 * count + 1 }, () => [])
  const watched: [number, number][] = []
  let propagateIndex = 0
  let proof: Rule[] = []

  const levelOf = (literal: number) => Math.abs(decisionMap[Math.abs(literal)]!)
  const isTrue = (literal: number) => (literal > 0 ? decisionMap[literal]! > 0 : decisionMap[-literal]! < 0)
  const isFalse = (literal: number) => (literal > 0 ? decisionMap[literal]! < 0 : decisionMap[-literal]! > 0)
  const watchesOf = (literal: number) => watches[literal + count]!

  const decide = (literal: number, level: number, reason: number) => {
    decisionMap[Math.abs(literal)] = literal > 0 ? level : -level
    decisionQueue.push(literal)
    decisionReasons.push(reason)
  }

  const revert = (level: number) => {
    while (decisionQueue.length > 0 && levelOf(decisionQueue.at(-1)!) > level) {
      decisionMap[Math.abs(decisionQueue.pop()!)] = 0
      decisionReasons.pop()
    }
    propagateIndex = Math.min(propagateIndex, decisionQueue.length)
    onRevert(level)
  }

  /** watch2onhighest for learnt rules: the literal decided last, so that a revert frees it first */
  const watch = (index: number) => {
    const { literals, reason } = rules[index]!
    if (literals.length < 2) return
    const pair: [number, number] = [literals[0]!, literals[1]!]
    if (reason === 'learnt') pair[1] = literals.slice(1).reduce((a, b) => (levelOf(b) > levelOf(a) ? b : a))
    watched[index] = pair
    watchesOf(pair[0]).push(index)
    watchesOf(pair[1]).push(index)
  }

  const propagate = (level: number): number | undefined => {
    while (propagateIndex < decisionQueue.length) {
      const literal = -decisionQueue[propagateIndex++]!
      const list = watchesOf(literal)
      // from the end: libsolv prepends to its watch lists
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
          if (!moved) decide(other, level, index)
        }
        if (!moved) list[--keep] = index
      }
      list.copyWithin(0, keep)
      list.length -= keep
    }
    return undefined
  }

  const analyzeUnsolvable = (index: number): typeof unsolvable => {
    const found = new Set<number>()
    const expand = (start: number) => {
      const todo = [start]
      for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
        if (found.has(next)) continue
        found.add(next)
        todo.push(...(learntReasons.get(next) ?? []))
      }
    }
    const involved = new Set<number>()
    expand(index)
    for (const literal of rules[index]!.literals) if (!isTrue(literal)) involved.add(Math.abs(literal))
    for (let i = decisionQueue.length - 1; i >= 0; i--) {
      const literal = decisionQueue[i]!
      const rule = decisionReasons[i]!
      if (!involved.has(Math.abs(literal)) || rule === freeChoice) continue
      expand(rule)
      for (const other of rules[rule]!.literals) if (other !== literal) involved.add(Math.abs(other))
    }
    proof = [...found].sort((a, b) => a - b).flatMap(i => (learntReasons.has(i) ? [] : [rules[i]!]))
    return unsolvable
  }

  /** analyze: learns a rule from the conflict and reverts; returns the level it reverted to and the rule's index. */
  const analyze = (conflict: number, level: number): { level: number; rule: number } => {
    const seen = new Set<number>()
    const others: number[] = []
    const reasons: number[] = []
    /** seen literals of this level and of level 1 that are not resolved yet */
    let open = 0
    let openAtFirst = 0
    let backLevel = 1
    let index = decisionQueue.length
    let rule = conflict
    let learnt = 0
    for (;;) {
      reasons.push(rule)
      for (const literal of rules[rule]!.literals) {
        const id = Math.abs(literal)
        if (isTrue(literal) || seen.has(id)) continue
        seen.add(id)
        const its = levelOf(literal)
        if (its === 1) openAtFirst++
        else if (its === level) open++
        else {
          others.push(literal)
          backLevel = Math.max(backLevel, its)
        }
      }
      let next = freeChoice
      while (next < 0) {
        if (open === 0 && openAtFirst === 0) break
        index--
        const literal = decisionQueue[index]!
        if (!seen.has(Math.abs(literal))) continue
        const its = levelOf(literal)
        if (its !== level && its !== 1) continue
        seen.delete(Math.abs(literal))
        if (its === level) {
          open--
          if (open === 0) {
            learnt = -literal
            continue
          }
        } else openAtFirst--
        next = decisionReasons[index]!
      }
      if (next < 0) break
      rule = next
    }
    revert(backLevel)
    const made = rules.push({ literals: [learnt, ...others], reason: 'learnt' }) - 1
    learntReasons.set(made, reasons)
    watch(made)
    return { level: backLevel, rule: made }
  }

  const setPropagateLearn = (start: number, literal: number, reason: number): number => {
    let level = start + 1
    decide(literal, level, reason)
    for (;;) {
      const conflict = propagate(level)
      if (conflict === undefined) return level
      if (level === 1) return analyzeUnsolvable(conflict)
      const learnt = analyze(conflict, level)
      level = learnt.level
      decide(rules[learnt.rule]!.literals[0]!, level, learnt.rule)
    }
  }

  for (let i = rules.length - 1; i >= 0; i--) watch(i)
  return {
    decisionMap,
    decisionQueue,
    isTrue,
    isFalse,
    decide,
    propagate,
    revert,
    setPropagateLearn,
    analyzeUnsolvable,
    proof: () => proof,
  }
}
