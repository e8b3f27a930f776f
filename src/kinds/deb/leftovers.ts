import type { Marking } from './marking.ts'
import type { Package } from './universe.ts'

/**
 * Takes away again what was marked on the way to something that came to nothing: nothing that stays needs, recommends or
 * suggests it (pkgDepCache::MarkRequired and DoAutomaticRemove of apt-private/private-install.cc).
 */
export function dropLeftovers(marking: Marking): void {
  const wanted = wantedOf(marking)
  const dropped = new Set<Package>()
  const marked = marking
    .touched()
    .filter(one => marking.state(one).mode === 'install')
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id - b.id))
  for (const one of marked) {
    if (one.current || wanted.has(one)) continue
    marking.markDelete(one)
    dropped.add(one)
  }
  // what was dropped may still be missed by what was not
  for (let missed = findMissed(marking, dropped); missed; missed = findMissed(marking, dropped)) {
    marking.markInstall(missed, { alone: true })
    dropped.delete(missed)
  }
}

/** What stays for its own sake, or for what something else says of it. */
export function wantedOf(marking: Marking): Set<Package> {
  const wanted = new Set<Package>()
  const open: Package[] = []
  const want = (one: Package) => {
    const state = marking.state(one)
    if (wanted.has(one) || state.install === undefined) return
    wanted.add(one)
    open.push(one)
  }
  for (const one of marking.touched()) {
    if (!marking.state(one).isAuto || one.essential || one.important) want(one)
  }
  for (let one = open.pop(); one; one = open.pop()) {
    for (const dependency of marking.universe.dependencies(marking.state(one).install!)) {
      if (dependency.negative) continue
      for (const target of dependency.targets)
        for (const found of marking.matches(dependency, target, 'install')) want(found.package)
    }
  }
  return wanted
}

function findMissed(marking: Marking, dropped: Set<Package>): Package | undefined {
  if (dropped.size === 0) return undefined
  for (const one of marking.touched()) {
    const { install } = marking.state(one)
    if (install === undefined) continue
    for (const dependency of marking.universe.dependencies(install)) {
      if (dependency.negative || !marking.isImportant(dependency) || marking.isFine(dependency)) continue
      for (const target of dependency.targets)
        for (const found of marking.matches(dependency, target, 'candidate'))
          if (dropped.has(found.package)) return found.package
    }
  }
  return undefined
}
