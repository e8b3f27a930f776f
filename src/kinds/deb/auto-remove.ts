import type { DepCache } from './dep-cache.ts'
import { markInstall } from './mark-install.ts'
import type { Package } from './package.ts'

/**
 * Drops packages that were marked on the way to a choice that was discarded: nothing that remains depends on, recommends or
 * suggests them (pkgDepCache::MarkRequired, and DoAutomaticRemove in apt-private/private-install.cc).
 */
export function autoRemove(depCache: DepCache): void {
  const required = markRequired(depCache)
  const removed = new Set<Package>()
  const marked = depCache
    .touched()
    .filter(one => depCache.state(one).mode === 'install')
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id - b.id))
  for (const one of marked) {
    if (one.current || required.has(one)) continue
    depCache.markDelete(one)
    removed.add(one)
  }
  // while something is broken by policy, DoAutomaticRemove reinstates what any package names in a dependency,
  // satisfied or not
  while (removed.size > 0 && isAnyPolicyBroken(depCache)) {
    const named = namedInDependencies(depCache)
    const missed = [...removed].find(one => namesOf(depCache, one).some(name => named.has(name)))
    if (!missed) return
    markInstall(depCache, missed, { autoInst: false })
    removed.delete(missed)
  }
}

function isAnyPolicyBroken(depCache: DepCache): boolean {
  return depCache.touched().some(one => depCache.isPolicyBroken(one))
}

/** Every package that an important dependency of a planned package names. */
function namedInDependencies(depCache: DepCache): Set<Package> {
  const named = new Set<Package>()
  for (const one of depCache.touched()) {
    const { install } = depCache.state(one)
    for (const dependency of install ? depCache.universe.dependencies(install) : []) {
      if (dependency.negative || !depCache.isImportant(dependency)) continue
      for (const target of dependency.targets) named.add(target.package)
    }
  }
  return named
}

function namesOf(depCache: DepCache, one: Package): Package[] {
  const { candidate } = depCache.state(one)
  return candidate ? [one, ...depCache.universe.answersTo(candidate)] : [one]
}

/** MarkRequired: packages that were requested, are essential, or that one of those depends on in any way. */
export function markRequired(depCache: DepCache): Set<Package> {
  const required = new Set<Package>()
  const open: Package[] = []
  const require = (one: Package) => {
    const state = depCache.state(one)
    if (required.has(one) || state.install === undefined) return
    required.add(one)
    open.push(one)
  }
  for (const one of depCache.touched()) {
    const { isAuto, isProtected } = depCache.state(one)
    if (!isAuto || isProtected || one.essential || one.important) require(one)
  }
  for (let one = open.pop(); one; one = open.pop()) {
    for (const dependency of depCache.universe.dependencies(depCache.state(one).install!)) {
      if (dependency.negative) continue
      for (const target of dependency.targets)
        for (const found of depCache.matches(dependency, target, 'install')) require(found.package)
    }
  }
  return required
}
