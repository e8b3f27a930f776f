import { AirgapError } from '../../core/errors.ts'
import type { Candidate } from './candidate.ts'
import type { DepCache } from './dep-cache.ts'
import type { Package } from './package.ts'
import { sourceOf } from './source-package.ts'
import { type Dependency, itemOf, meets } from './universe.ts'

/** No dependency chain of a real archive is a sixth as long; bounds the recursion on a malicious one. The stack of the main thread has room for 1,000. */
const maxDepth = 600

interface MarkOptions {
  /** AutoInst: also mark what the package needs; true by default */
  autoInst?: boolean
  /** FromUser: requested by name */
  fromUser?: boolean
  depth?: number
}

/** How one call of markInstall treats the dependencies of its package. */
interface Pass {
  /** the package is protected, so that whatever is the only solution of one of its dependencies becomes protected, too */
  propagateProtected: boolean
  /** stop at the first failure; the candidate is then discarded */
  failEarly: boolean
  depth: number
}

/**
 * pkgDepCache::MarkInstall (apt 2.6, apt-pkg/depcache.cc): marks a package and everything it needs, depth first, taking the
 * first alternative that can be installed. A conflicting package that is only marked is kept out instead; a candidate that
 * conflicts with a protected package is discarded for good. Returns whether the package will be present.
 * Throws UNRESOLVABLE where the recursion is too deep.
 */
export function markInstall(cache: DepCache, of: Package, options: MarkOptions = {}): boolean {
  const { autoInst = true, fromUser = false, depth = 0 } = options
  if (depth > maxDepth) throw tooDeep(of)
  const state = cache.state(of)
  const keepsInstalled =
    state.isProtected &&
    state.mode === 'keep' &&
    state.candidate !== undefined &&
    state.candidate === of.current
  if (!keepsInstalled && !fromUser && !cache.isModeChangeOk(of, 'install')) return false
  if (of.versions.length === 0 || state.candidate === undefined) return false
  if (!state.isProtected && !cache.isPolicyBroken(of)) {
    if (state.candidate === of.current) return state.install === undefined ? cache.markKeep(of) : true
    if (state.mode === 'install') return true
  }
  if (!isInstallOk(cache, of, { autoInst, fromUser })) return false
  if (fromUser) changeState(cache, of, true)
  if (!autoInst) {
    if (!fromUser) changeState(cache, of, false)
    return true
  }
  return installWithDependencies(cache, of, { fromUser, depth })
}

function installWithDependencies(
  cache: DepCache,
  of: Package,
  { fromUser, depth }: { fromUser: boolean; depth: number },
): boolean {
  const state = cache.state(of)
  const candidate = state.candidate!
  const wasProtected = state.isProtected
  const pass: Pass = {
    propagateProtected: wasProtected,
    failEarly: !wasProtected && !fromUser,
    depth: depth + 1,
  }
  let failed = false
  const { toInstall, toRemove } = collectDependencies(cache, candidate, pass)
  const conflicts = removeConflictsIfNotUpgradeable(cache, toRemove, pass)
  if (conflicts.failed) {
    if (pass.failEarly) return false
    failed = true
  }
  const toUpgrade = [...conflicts.toUpgrade, ...dependersToUpgrade(cache, of, conflicts.toUpgrade)]
  if (!fromUser) changeState(cache, of, false)
  // nothing further down the recursion may undo this package
  state.isProtected = true
  try {
    upgradeSameSource(cache, of, candidate, pass.depth)
    if (!upgradeOrRemoveConflicts(cache, toUpgrade, pass)) {
      if (pass.failEarly) return discardCandidate(cache, of)
      failed = true
    }
    if (!installDependencies(cache, of, toInstall, pass)) {
      if (pass.failEarly) return discardCandidate(cache, of)
      failed = true
    }
    for (const conflict of conflicts.delayedRemove) {
      if (cache.markDelete(conflict)) continue
      if (pass.failEarly) return discardCandidate(cache, of)
      failed = true
    }
  } finally {
    if (!wasProtected) state.isProtected = false
  }
  return !failed
}

/** MarkInstall_StateChange */
function changeState(cache: DepCache, of: Package, fromUser: boolean): void {
  const state = cache.state(of)
  if (state.isProtected && state.install === state.candidate) return
  state.mode = state.candidate === of.current ? 'keep' : 'install'
  state.install = state.candidate
  if (fromUser) state.isAuto = false
  else if (of.current === undefined) state.isAuto = true
}

/** MarkInstall_DiscardCandidate: back to what is installed, and this version is never tried again. */
function discardCandidate(cache: DepCache, of: Package): false {
  const state = cache.state(of)
  if (state.mode === 'keep' && state.install === state.candidate && state.candidate === of.current)
    return false
  state.install = of.current
  state.mode = 'keep'
  state.candidate = of.current
  return false
}

/** IsInstallOk: multi-arch versions in step, and every positive dependency satisfiable by candidates. */
function isInstallOk(
  cache: DepCache,
  of: Package,
  { autoInst, fromUser }: { autoInst: boolean; fromUser: boolean },
): boolean {
  const state = cache.state(of)
  if (!fromUser && !isMultiArchSameVersionSynced(cache, of)) return false
  if (!autoInst || state.candidate === undefined || state.candidate === of.current) return true
  const unsatisfiable = cache.universe
    .dependencies(state.candidate)
    .some(
      one => one.critical && !one.negative && !cache.isSatisfied(one) && !cache.isSatisfied(one, 'candidate'),
    )
  if (!unsatisfiable) return true
  if (!state.isProtected) {
    state.candidate = of.current
    if (state.mode !== 'delete') state.mode = 'keep'
  }
  return false
}

/** IsInstallOkMultiArchSameVersionSynced: installed architectures of a `Multi-Arch: same` package have one version. */
function isMultiArchSameVersionSynced(cache: DepCache, of: Package): boolean {
  const { candidate, mode, install } = cache.state(of)
  if (mode === 'install' && install === candidate) return true
  if (!candidate || candidate === of.current || candidate.multiArch !== 'same') return true
  return cache.universe.architectures.every(architecture => {
    const other = cache.universe.find(of.name, architecture)
    if (!other?.current || other === of) return true
    const theirs = cache.state(other).candidate
    return (
      theirs === undefined ||
      theirs.version === candidate.version ||
      theirs.multiArch !== 'same' ||
      theirs.source < 0
    )
  })
}

/** MarkInstall_CollectDependencies */
function collectDependencies(
  cache: DepCache,
  candidate: Candidate,
  { propagateProtected }: Pass,
): { toInstall: Dependency[]; toRemove: Dependency[] } {
  const toInstall: Dependency[] = []
  const toRemove: Dependency[] = []
  for (const dependency of cache.universe.dependencies(candidate)) {
    if (!cache.isImportant(dependency)) continue
    if (!propagateProtected && cache.isSatisfied(dependency)) continue
    ;(dependency.negative ? toRemove : toInstall).push(dependency)
  }
  return { toInstall, toRemove }
}

interface Conflicts {
  failed: boolean
  toUpgrade: Package[]
  /** installed packages to remove once everything else is marked */
  delayedRemove: Package[]
}

/** MarkInstall_RemoveConflictsIfNotUpgradeable: conflicts that are only marked are kept out, installed ones upgraded or removed. */
function removeConflictsIfNotUpgradeable(cache: DepCache, toRemove: Dependency[], pass: Pass): Conflicts {
  const { propagateProtected, failEarly } = pass
  const result: Conflicts = { failed: false, toUpgrade: [], delayedRemove: [] }
  const badCandidate = new Set<Package>()
  for (const dependency of toRemove) {
    for (const { package: other, version } of cache.allSolutions(dependency, 'candidate')) {
      const state = cache.state(other)
      if (state.candidate !== version) continue
      if (other.current === version) {
        if (!removeLater(cache, other, { pass, result })) result.failed = true
      } else if (state.mode === 'install' && !cache.markKeep(other)) result.failed = true
      else if (propagateProtected) {
        state.candidate = state.install
        if (other.current === undefined) state.isProtected = true
      } else badCandidate.add(other)
      if (result.failed && failEarly) return result
    }
    for (const { package: other, version } of cache.allSolutions(dependency, 'current')) {
      const state = cache.state(other)
      if (state.candidate !== version && state.candidate !== undefined && !badCandidate.has(other)) {
        result.toUpgrade.push(other)
      } else if (state.candidate !== version && !removeLater(cache, other, { pass, result })) {
        result.failed = true
        if (failEarly) return result
      }
    }
  }
  return result
}

function removeLater(
  cache: DepCache,
  other: Package,
  { pass, result }: { pass: Pass; result: Conflicts },
): boolean {
  const state = cache.state(other)
  if (!pass.propagateProtected) {
    if (state.mode === 'delete') return true
    if (!cache.isModeChangeOk(other, 'delete') || !cache.isDeleteOk(other)) return false
    result.delayedRemove.push(other)
    return true
  }
  if (state.mode !== 'delete' && !cache.markDelete(other)) return false
  state.candidate = state.install
  state.isProtected = true
  return true
}

/** Installed packages that depend on the version that the candidate replaces. */
function dependersToUpgrade(cache: DepCache, of: Package, known: Package[]): Package[] {
  const { current } = of
  const candidate = cache.state(of).candidate!
  if (current === undefined) return []
  const found = new Set<Package>()
  for (const dependency of cache.reverseDependencies(of)) {
    const { parent } = dependency
    if (cache.state(parent).mode === 'install' || known.includes(parent)) continue
    const target = dependency.targets.find(one => one.package === of)
    if (!target || !cache.isImportant(dependency)) continue
    if (meets(target, current.version) && !meets(target, candidate.version)) found.add(parent)
  }
  return [...found]
}

/** APT::Get::Upgrade-By-Source-Package: installed packages of one source are upgraded together. */
function upgradeSameSource(cache: DepCache, of: Package, candidate: Candidate, depth: number): void {
  if (cache.universe.installed().length === 0) return
  const ours = sourceOf(candidate)
  const others = cache.universe.installed().filter(other => {
    const theirs = cache.state(other)
    if (other === of || !theirs.candidate || other.current === theirs.candidate) return false
    if (theirs.mode === 'install' && theirs.install === theirs.candidate) return false
    const source = sourceOf(theirs.candidate)
    return source.name === ours.name && source.version === ours.version
  })
  for (const other of others) markInstall(cache, other, { autoInst: false, depth })
  for (const other of others) markInstall(cache, other, { depth })
}

/** MarkInstall_UpgradeOrRemoveConflicts */
function upgradeOrRemoveConflicts(cache: DepCache, conflicts: Package[], pass: Pass): boolean {
  let failed = false
  for (const other of conflicts) {
    if (cache.state(other).mode === 'install' || markInstall(cache, other, { depth: pass.depth })) continue
    if (cache.markDelete(other)) {
      if (pass.propagateProtected) cache.state(other).isProtected = true
      continue
    }
    failed = true
    if (pass.failEarly) break
  }
  return !failed
}

/** MarkInstall_InstallDependencies */
function installDependencies(cache: DepCache, of: Package, toInstall: Dependency[], pass: Pass): boolean {
  let failed = false
  for (const dependency of toInstall) {
    if (cache.isSatisfied(dependency)) {
      if (pass.propagateProtected && dependency.critical && !protectOnlySolution(cache, dependency, pass))
        failed = true
      continue
    }
    if (!dependency.critical && of.current && !isNewRecommends(cache, of.current, dependency)) continue
    if (installOneSolution(cache, dependency, pass) || !dependency.critical) continue
    failed = true
    if (pass.failEarly) break
  }
  return !failed
}

/** The only package that can satisfy a dependency of a protected package becomes protected. */
function protectOnlySolution(cache: DepCache, dependency: Dependency, { depth }: Pass): boolean {
  const solutions = [
    ...cache.allSolutions(dependency, 'candidate'),
    ...cache.allSolutions(dependency, 'current'),
  ]
  const [first] = solutions
  if (!first || solutions.some(other => other.version !== first.version)) return true
  const state = cache.state(first.package)
  if (state.isProtected) return true
  state.isProtected = true
  return markInstall(cache, first.package, { depth })
}

function installOneSolution(cache: DepCache, dependency: Dependency, pass: Pass): boolean {
  const { propagateProtected, depth } = pass
  const solutions = cache.allSolutions(dependency, 'candidate')
  for (const { package: other, version } of solutions) {
    const state = cache.state(other)
    if (state.candidate !== version) continue
    if (propagateProtected && dependency.critical && solutions.length === 1) {
      if (!markInstall(cache, other, { autoInst: false, depth })) continue
      state.isProtected = true
    }
    if (markInstall(cache, other, { depth })) return true
  }
  return false
}

/** Of an installed package apt follows only those Recommends that are new, or were satisfied until now. */
function isNewRecommends(cache: DepCache, current: Candidate, dependency: Dependency): boolean {
  const [first] = dependency.targets
  const previous = cache.universe
    .dependencies(current)
    .filter(
      one =>
        !one.critical &&
        cache.isImportant(one) &&
        one.targets.some(target => target.package === first?.package),
    )
  return previous.length === 0 || previous.some(one => cache.isSatisfied(one, 'current'))
}

function tooDeep(of: Package): AirgapError {
  return new AirgapError('UNRESOLVABLE', `a dependency chain is longer than ${maxDepth} packages`, {
    item: of.versions[0] ? itemOf(of.versions[0]) : of.name,
    likely: 'an archive that contradicts itself, or a malicious one',
    next: 'request the package at the end of the chain by name, or leave this package out',
  })
}
