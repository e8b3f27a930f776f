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
  // where anything is left wanting, apt takes back what some package names at all, whether or not that one is content
  while (dropped.size > 0 && isWanting(marking)) {
    const named = namedByPresent(marking)
    const missed = [...dropped].find(one => namesOf(marking, one).some(name => named.has(name)))
    if (!missed) return
    marking.markInstall(missed, { alone: true })
    dropped.delete(missed)
  }
}

function isWanting(marking: Marking): boolean {
  return marking.touched().some(one => marking.isPolicyBroken(one))
}

/** The names in all that present packages need or recommend. */
function namedByPresent(marking: Marking): Set<Package> {
  const named = new Set<Package>()
  for (const one of marking.touched()) {
    const { install } = marking.state(one)
    for (const dependency of install ? marking.universe.dependencies(install) : []) {
      if (dependency.negative || !marking.isImportant(dependency)) continue
      for (const target of dependency.targets) named.add(target.package)
    }
  }
  return named
}

function namesOf(marking: Marking, one: Package): Package[] {
  const { candidate } = marking.state(one)
  return candidate ? [one, ...marking.universe.answersTo(candidate)] : [one]
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
    const { isAuto, isProtected } = marking.state(one)
    if (!isAuto || isProtected || one.essential || one.important) want(one)
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
