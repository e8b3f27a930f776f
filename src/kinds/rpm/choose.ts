import type { RpmRelation } from './candidate.ts'
import { clausesOf } from './normal-form.ts'
import { isRich } from './rich.ts'
import { compareEvr } from './rpm-version.ts'
import { evrOf, type Id, matchesNevr, type Universe } from './universe.ts'

/** The solver's decisions so far. */
export interface Decisions {
  /** level at which the package was installed (positive) or left out (negative); 0: undecided */
  of(id: Id): number
  /** literals in the order in which they were decided */
  readonly order: readonly number[]
}

/** Chooses between packages that would all do (libsolv, policy.c). */
export interface Chooser {
  /** policy_filter_unwanted in POLICY_MODE_CHOOSE: the best packages, best first; at least one */
  filterUnwanted(ids: readonly Id[]): Id[]
  /** drops packages that are worse than another one in any case; no order */
  prune(ids: readonly Id[]): Id[]
  /** POLICY_MODE_RECOMMEND: as `prune`, regardless of what other packages recommend */
  pruneRecommended(ids: readonly Id[]): Id[]
  orderSupplements(ids: readonly Id[]): Id[]
  isRecommended(id: Id): boolean
  isSupplementing(id: Id): boolean
  /** call after decisions were reverted */
  reset(): void
}

/** The steps of policy.c, in its order. */
export function makeChooser(universe: Universe, decisions: Decisions): Chooser {
  const recommended = new Set<Id>()
  const suggested = new Set<Id>()
  let seen = 0

  const update = () => {
    // the condition of a rich dependency may become true later
    for (; seen < decisions.order.length; seen++) {
      const id = decisions.order[seen]!
      if (id < 0) continue
      const { recommends, suggests } = universe.candidate(id)
      for (const relation of recommends) mark(relation, recommended)
      for (const relation of suggests) mark(relation, suggested)
    }
  }
  const mark = (relation: RpmRelation, set: Set<Id>) => {
    for (const id of isRich(relation) ? richTargets(relation) : universe.providers(relation)) set.add(id)
  }
  const richTargets = (relation: RpmRelation): Id[] => {
    const form = clausesOf(universe.rich(relation), universe.providers)
    if (typeof form === 'boolean') return []
    return form
      .filter(block => block.every(literal => literal > 0 || decisions.of(-literal) > 0))
      .flatMap(block => block.filter(literal => literal > 0))
  }
  const isSatisfied = (relation: RpmRelation): boolean => {
    if (!isRich(relation)) return universe.providers(relation).some(id => decisions.of(id) > 0)
    const form = clausesOf(universe.rich(relation), universe.providers)
    if (typeof form === 'boolean') return form
    return form.every(block =>
      block.some(literal => (literal > 0 ? decisions.of(literal) > 0 : decisions.of(-literal) <= 0)),
    )
  }
  const isSupplementing = (id: Id) => universe.candidate(id).supplements.some(isSatisfied)
  const isEnhancing = (id: Id) => universe.candidate(id).enhances.some(isSatisfied)
  const isInstalled = (id: Id) => id <= universe.installedEnd

  const pruneToRecommended = (ids: Id[]): Id[] => {
    if (ids.filter(id => !isInstalled(id)).length < 2) return ids
    update()
    const good = ids.filter(id => !isInstalled(id) && (recommended.has(id) || isSupplementing(id)))
    if (good.length === 0) return ids
    return ids.filter(id => isInstalled(id) || good.includes(id))
  }
  const preferSuggested = (ids: Id[]): Id[] => {
    update()
    const good = (id: Id) => isInstalled(id) || suggested.has(id) || isEnhancing(id)
    return [...ids.filter(good), ...ids.filter(id => !good(id))]
  }
  const pruneRecommended = (ids: readonly Id[]): Id[] =>
    pruneToBestVersion(universe, pruneToBestArch(universe, pruneToHighestPrio(universe, ids)))
  const prune = (ids: readonly Id[]) => {
    const rest = pruneRecommended(ids)
    return rest.length > 1 ? pruneToRecommended(rest) : rest
  }
  return {
    prune,
    pruneRecommended,
    filterUnwanted(ids) {
      const rest = prune(ids)
      if (rest.length < 2) return rest
      const ordered = sortByCommonDep(universe, dislikeOldVersions(universe, rest))
      return preferSuggested(moveInstalledToFront(universe, ordered))
    },
    orderSupplements: ids => preferSuggested(sortByCommonDep(universe, dislikeOldVersions(universe, ids))),
    isRecommended(id) {
      update()
      return recommended.has(id)
    },
    isSupplementing,
    reset() {
      recommended.clear()
      suggested.clear()
      seen = 0
    },
  }
}

/** prune_to_highest_prio */
function pruneToHighestPrio(universe: Universe, ids: readonly Id[]): Id[] {
  const best = Math.min(...ids.filter(id => id > universe.installedEnd).map(universe.priority))
  return ids.filter(id => id <= universe.installedEnd || universe.priority(id) === best)
}

/** prune_to_best_arch */
function pruneToBestArch(universe: Universe, ids: readonly Id[]): Id[] {
  const best = Math.min(...ids.map(universe.architectureScore).filter(score => score > 1))
  if (!Number.isFinite(best)) return [...ids]
  return ids.filter(id => {
    const score = universe.architectureScore(id)
    return score === 1 || score === best
  })
}

/** prune_to_best_version: the newest of each name, ordered by name, without those that another one obsoletes. */
function pruneToBestVersion(universe: Universe, ids: readonly Id[]): Id[] {
  if (ids.length < 2) return [...ids]
  const sorted = [...ids].sort((a, b) => {
    const one = universe.candidate(a)
    const other = universe.candidate(b)
    if (one.name !== other.name) return one.name < other.name ? -1 : 1
    const scores = [universe.architectureScore(a), universe.architectureScore(b)] as const
    if (scores[0] !== scores[1] && scores[0] > 1 && scores[1] > 1) return scores[0] - scores[1]
    return a - b
  })
  const best: Id[] = []
  for (const id of sorted) {
    const last = best.at(-1)
    if (last === undefined || universe.candidate(last).name !== universe.candidate(id).name) best.push(id)
    else if (compareEvr(evrOf(universe.candidate(last)), evrOf(universe.candidate(id))) < 0)
      best[best.length - 1] = id
  }
  return moveInstalledToFront(universe, pruneObsoleted(universe, best))
}

/** prune_obsoleted */
function pruneObsoleted(universe: Universe, ids: Id[]): Id[] {
  if (ids.length < 2) return ids
  const obsoletes = (a: Id, b: Id) => {
    const one = universe.candidate(a)
    const other = universe.candidate(b)
    return one.name !== other.name && one.obsoletes.some(relation => matchesNevr(other, relation))
  }
  const reaches = (from: Id, to: Id) => {
    const todo = [from]
    const been = new Set(todo)
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      for (const other of ids) {
        if (been.has(other) || !obsoletes(next, other)) continue
        if (other === to) return true
        been.add(other)
        todo.push(other)
      }
    }
    return false
  }
  if (!ids.some(id => universe.candidate(id).obsoletes.length > 0)) return ids
  // packages that obsolete each other in a cycle all stay
  return ids.filter(id => !ids.some(other => other !== id && obsoletes(other, id) && !reaches(id, other)))
}

/** move_installed_to_front */
function moveInstalledToFront(universe: Universe, ids: Id[]): Id[] {
  if (universe.installedEnd === 0) return ids
  const known = (id: Id) =>
    universe.named(universe.candidate(id).name).some(one => one <= universe.installedEnd)
  return [...ids.filter(known), ...ids.filter(id => !known(id))]
}

/** dislike_old_versions: packages that exist in a newer version, or in a preferred repository, go to the back. */
function dislikeOldVersions(universe: Universe, ids: readonly Id[]): Id[] {
  const bad = (id: Id) => {
    if (id <= universe.installedEnd) return false
    const one = universe.candidate(id)
    for (const other of universe.named(one.name)) {
      const its = universe.candidate(other)
      if (other === id || its.architecture !== one.architecture) continue
      const [own, others] = [universe.priority(id), universe.priority(other)]
      if (own !== others) {
        if (own < others) continue
        return true
      }
      if (compareEvr(evrOf(its), evrOf(one)) > 0) return true
    }
    return false
  }
  return [...ids.filter(id => !bad(id)), ...ids.filter(bad)]
}

/** sort_by_common_dep: of packages that provide the same name in several versions, the newest first. */
function sortByCommonDep(universe: Universe, ids: readonly Id[]): Id[] {
  const byName = new Map<string, { at: number; relation: RpmRelation }[]>()
  for (const [at, id] of ids.entries()) {
    for (const relation of universe.candidate(id).provides) {
      if (relation.flags !== 'EQ' && relation.flags !== 'LT' && relation.flags !== 'LE') continue
      if (relation.flags === 'EQ' && isHash(relation)) continue
      const list = byName.get(relation.name)
      if (list) list.push({ at, relation })
      else byName.set(relation.name, [{ at, relation }])
    }
  }
  const badness = ids.map(() => 0)
  for (const entries of byName.values()) {
    if (entries.length < 2) continue
    entries.sort((a, b) => compareProvided(a.relation, b.relation))
    let bad = 0
    for (const [i, entry] of entries.entries()) {
      const before = entries[i - 1]
      if (before && before.at !== entry.at && compareProvided(before.relation, entry.relation) === -1) bad++
      badness[entry.at]! += bad
    }
  }
  return ids
    .map((id, at) => ({ id, bad: id <= universe.installedEnd ? 0 : badness[at]! }))
    .sort((a, b) => a.bad - b.bad)
    .map(({ id }) => id)
}

function isHash({ epoch, version = '', release }: RpmRelation): boolean {
  return epoch === undefined && release === undefined && version.length >= 4 && /^[a-f0-9]*$/.test(version)
}

/** Orders the newest first; ±2 between a version with a release and one without. */
function compareProvided(a: RpmRelation, b: RpmRelation): number {
  if (textOf(a) !== textOf(b)) {
    if (a.release !== undefined && b.release === undefined) return -2
    if (a.release === undefined && b.release !== undefined) return 2
  }
  const order = compareEvr(evr(b), evr(a))
  if (order !== 0) return order < 0 ? -1 : 1
  if (a.flags === 'LT' && b.flags !== 'LT') return 1
  if (b.flags === 'LT' && a.flags !== 'LT') return -1
  return 0
}

function evr({ epoch = '0', version = '', release = '' }: RpmRelation) {
  return { epoch, version, release }
}

function textOf({ epoch = '', version = '', release = '' }: RpmRelation): string {
  return `${epoch}:${version}-${release}`
}
