import { compareVersions, isVersion } from '../../core/debian-version.ts'
import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import { nearNames } from '../../core/near-names.ts'
import { autoRemove } from './auto-remove.ts'
import type { Candidate } from './candidate.ts'
import { DepCache } from './dep-cache.ts'
import { explain } from './explain.ts'
import { versionMatcher } from './expression.ts'
import { markInstall } from './mark-install.ts'
import type { Package } from './package.ts'
import { resolveProblems } from './problem-resolver.ts'
import { formatRelation } from './relation.ts'
import { type PackageRequest, parseRequest } from './request.ts'
import { preferSuite } from './suite-choice.ts'
import type { Universe } from './universe.ts'
import { whyNot } from './why-not.ts'

/** A package of the closure, and why it is in it. */
export interface Selected {
  candidate: Candidate
  requested: boolean
  /** the package that pulled it in */
  because?: string
}

export interface ClosureRequest {
  /** as apt takes them: `name[:architecture][=version | /suite]` */
  names: string[]
  recommends: boolean
  /** where the packages were requested, for messages */
  at: string
}

interface Wanted {
  request: PackageRequest
  package: Package
  version: Candidate
}

/**
 * Returns what `apt-get install` would install on a machine that has the base system and nothing else: `mark-install.ts`
 * marks the requested packages and what they need, `problem-resolver.ts` repairs conflicts, `auto-remove.ts` drops what is
 * no longer needed. Throws UNRESOLVABLE with the whole chain.
 */
export function closureOf(universe: Universe, request: ClosureRequest): Selected[] {
  return solve(universe, request).selected
}

export interface Solution {
  selected: Selected[]
  /** packages of the base system that the closure depends on and therefore leaves out */
  present: number
}

/** As `closureOf`, with the number of packages that the base system contributes. */
export function solve(universe: Universe, request: ClosureRequest): Solution {
  const { at } = request
  const wanted = findAll(
    universe,
    request.names.map(text => parseRequest(text, at)),
    at,
  )
  const depCache = new DepCache(universe, request)
  const requested = new Set(wanted.map(one => one.package))
  for (const one of wanted) {
    if (one.request.suite === undefined) depCache.setCandidate(one.package, one.version)
    else preferSuite(depCache, one.version, one.request.suite)
    depCache.state(one.package).isProtected = true
    markInstall(depCache, one.package, { autoInst: false, fromUser: true })
  }
  for (const one of requested) markInstall(depCache, one, { fromUser: true })
  const isWhole = !isAnyBroken(depCache) || resolveProblems(depCache, requested)
  if (!isWhole) throw failureOf(depCache, wanted, at)
  autoRemove(depCache)
  return solutionOf(depCache, requested)
}

function isAnyBroken(depCache: DepCache): boolean {
  return depCache.touched().some(one => depCache.isBroken(one))
}

function failureOf(depCache: DepCache, wanted: Wanted[], at: string): AirgapError {
  const failure = whyNot(depCache.universe, wanted)
  if (failure) return explain(failure, at)
  const broken = depCache.touched().filter(one => depCache.isBroken(one))
  const lines = broken.slice(0, 10).flatMap(one => {
    const version = depCache.state(one).install!
    const missing = depCache.universe
      .dependencies(version)
      .filter(dependency => dependency.critical && !depCache.isSatisfied(dependency))
    return missing.map(({ type, targets }) => {
      const relation = targets.map(target => formatRelation(target.relation)).join(' | ')
      return `  ${one.name} ${version.version}: ${type} ${relation}`
    })
  })
  return new AirgapError('UNRESOLVABLE', ['apt finds no way to install these packages together:', ...lines], {
    item: at,
    likely:
      'alternatives that conflict with each other; apt does not reconsider every choice, so it would fail on the site, too',
    next: 'request the alternatives that you want by name, or split the packages into two entries',
  })
}

function solutionOf(depCache: DepCache, requested: Set<Package>): Solution {
  const { reasons, seen } = reasonsOf(depCache, requested)
  const present = [...seen].filter(one => one.current && depCache.state(one).install === one.current).length
  const selected = depCache
    .touched()
    .filter(one => depCache.state(one).mode === 'install')
    .map(one => {
      const because = requested.has(one) ? undefined : reasons.get(one)
      return defined({
        candidate: depCache.state(one).install!,
        requested: requested.has(one),
        because,
      })
    })
  return { selected, present }
}

/** Package → the one that pulled it in, by the shortest chain from a requested package; chains may pass through the base system. */
function reasonsOf(
  depCache: DepCache,
  requested: Set<Package>,
): { reasons: Map<Package, string>; seen: Set<Package> } {
  const reasons = new Map<Package, string>()
  const seen = new Set(requested)
  const open = [...requested]
  for (const one of open) {
    const { install } = depCache.state(one)
    for (const dependency of install ? depCache.universe.dependencies(install) : []) {
      if (dependency.negative || !depCache.isImportant(dependency)) continue
      for (const target of dependency.targets) {
        for (const { package: other } of depCache.matches(dependency, target, 'install')) {
          if (seen.has(other)) continue
          seen.add(other)
          reasons.set(other, one.name)
          open.push(other)
        }
      }
    }
  }
  return { reasons, seen }
}

function findAll(universe: Universe, requests: PackageRequest[], at: string): Wanted[] {
  const wanted = new Map<Package, Wanted>()
  const missing: string[] = []
  for (const request of requests) {
    const found = universe.find(request.name, request.architecture)
    if (!found) {
      missing.push(describeMissing(universe, request))
      continue
    }
    const version = versionOf(universe, { request, found, at })
    const other = wanted.get(found)
    const isOpen = request.version === undefined && request.suite === undefined
    if (other && isOpen) continue
    const isOtherOpen = other?.request.version === undefined && other?.request.suite === undefined
    if (other && !isOtherOpen && other.version !== version)
      throw contradiction(other, { request, package: found, version }, at)
    wanted.set(found, { request, package: found, version })
  }
  if (missing.length === 0) return [...wanted.values()]
  throw new AirgapError(
    'UNRESOLVABLE',
    `no such package for ${universe.architectures.join(', ')}: ${missing.join('; ')}`,
    {
      item: at,
      likely: 'a typing mistake, or the package is in another component or suite',
      next: 'correct the name, or add the component (components: in the manifest) that has it',
    },
  )
}

function describeMissing(universe: Universe, { name, architecture, text }: PackageRequest): string {
  const providers = universe.offers(universe.named(name, architecture)).map(offer => offer.candidate.name)
  if (providers.length > 0)
    return `${text} is a virtual package; name one of ${[...new Set(providers)].slice(0, 8).join(', ')}`
  if (architecture !== undefined && !universe.architectures.includes(architecture))
    return `${text} (${architecture} is neither in architectures: nor in foreignArchitectures:)`
  const near = nearNames(name, universe.names())
  return near.length > 0 ? `${text} (did you mean ${near.join(', ')}?)` : text
}

function versionOf(
  universe: Universe,
  { request, found, at }: { request: PackageRequest; found: Package; at: string },
): Candidate {
  const { version, suite } = request
  const available = found.versions.map(one => universe.describe(one)).join(', ')
  if (version !== undefined) {
    const fits = versionMatcher(version)
    const match = found.versions.find(
      one => fits(one.version) || (isVersion(version) && compareVersions(one.version, version) === 0),
    )
    if (match) return match
    throw new AirgapError(
      'UNRESOLVABLE',
      `${request.text}: no suite has this version; available: ${available}`,
      {
        item: at,
        likely: 'the archive keeps only the newest version and has been updated',
        next: 'request an available version, drop the =version, or add an archive that keeps old versions (snapshot.debian.org)',
      },
    )
  }
  if (suite !== undefined) {
    const match = found.versions.find(one => universe.isIn(one, suite))
    if (match) return match
    throw new AirgapError(
      'UNRESOLVABLE',
      `${request.text}: the suite does not have this package; available: ${available}`,
      {
        item: at,
        likely: 'the suite is not among the suites of this entry, or the package is not in it',
        next: 'name the suite as its Release file does (Suite or Codename), and add it to the entry',
      },
    )
  }
  const candidate = universe.candidateOf(found)
  if (candidate) return candidate
  throw new AirgapError(
    'UNRESOLVABLE',
    `${request.text} must not be installed: its priority is below 1; available: ${available}`,
    {
      item: at,
      likely: 'a pin or the priority of a source excludes it',
      next: 'change pins: or priority: in the manifest, or request package=version',
    },
  )
}

function contradiction(one: Wanted, other: Wanted, at: string): AirgapError {
  return new AirgapError(
    'MANIFEST_INVALID',
    `${one.package.name} is requested in two versions, ${one.version.version} and ${other.version.version}`,
    {
      item: at,
      likely: 'two package lists disagree',
      next: `keep one of ${one.request.text} and ${other.request.text}`,
    },
  )
}
