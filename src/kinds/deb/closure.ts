import { AirgapError } from '../../core/errors.ts'
import type { Candidate } from './candidate.ts'
import { explain, nearNames } from './explain.ts'
import { dropLeftovers } from './leftovers.ts'
import { Marking } from './marking.ts'
import { solveProblems } from './problems.ts'
import { formatRelation } from './relation.ts'
import { type PackageRequest, parseRequest } from './request.ts'
import { preferSuite } from './suite-choice.ts'
import type { Package, Universe } from './universe.ts'
import { compareVersions } from './version.ts'
import { whyNot } from './why-not.ts'

/** A package of the closure and why it is there. */
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
  /** where the packages were asked for, for messages */
  at: string
}

interface Wanted {
  request: PackageRequest
  package: Package
  version: Candidate
}

/**
 * What `apt-get install` would install on a machine that has the base system and nothing else: `marking.ts` marks what was
 * asked for and all it needs, `problems.ts` mends what refuses each other, `leftovers.ts` drops what came to nothing.
 * Throws UNRESOLVABLE with the whole chain.
 */
export function closureOf(universe: Universe, request: ClosureRequest): Selected[] {
  return solve(universe, request).selected
}

export interface Solution {
  selected: Selected[]
  /** how many packages of the base system it relies on, and so leaves out */
  present: number
}

/** As `closureOf`, and what it owes to the base system. */
export function solve(universe: Universe, request: ClosureRequest): Solution {
  const { at } = request
  const wanted = findAll(
    universe,
    request.names.map(text => parseRequest(text, at)),
    at,
  )
  const marking = new Marking(universe, request)
  const asked = new Set(wanted.map(one => one.package))
  for (const one of wanted) {
    if (one.request.suite === undefined) marking.setCandidate(one.package, one.version)
    else preferSuite(marking, one.version, one.request.suite)
    marking.state(one.package).isProtected = true
    marking.markInstall(one.package, { alone: true, asked: true })
  }
  for (const one of asked) marking.markInstall(one, { asked: true })
  const isWhole = !isAnyBroken(marking) || solveProblems(marking, asked)
  if (!isWhole) throw failureOf(marking, wanted, at)
  dropLeftovers(marking)
  return solutionOf(marking, asked)
}

function isAnyBroken(marking: Marking): boolean {
  return marking.touched().some(one => marking.isBroken(one))
}

function failureOf(marking: Marking, wanted: Wanted[], at: string): AirgapError {
  const failure = whyNot(marking.universe, wanted)
  if (failure) return explain(failure, at)
  const broken = marking.touched().filter(one => marking.isBroken(one))
  const lines = broken.slice(0, 10).flatMap(one => {
    const version = marking.state(one).install!
    const lacking = marking.universe
      .dependencies(version)
      .filter(dependency => dependency.critical && !marking.isFine(dependency))
    return lacking.map(({ type, targets }) => {
      const relation = targets.map(target => formatRelation(target.relation)).join(' | ')
      return `  ${one.name} ${version.version}: ${type} ${relation}`
    })
  })
  return new AirgapError(
    'UNRESOLVABLE',
    `these packages cannot be installed together the way apt goes about it:\n${lines.join('\n')}`,
    {
      item: at,
      likely:
        'alternatives that refuse each other; apt does not go back on every choice, and so this fails on the site too',
      next: 'ask for the alternatives that you want by name, or split the packages into two entries',
    },
  )
}

function solutionOf(marking: Marking, asked: Set<Package>): Solution {
  const { reasons, seen } = reasonsOf(marking, asked)
  const present = [...seen].filter(one => one.current && marking.state(one).install === one.current).length
  const selected = marking
    .touched()
    .filter(one => marking.state(one).mode === 'install')
    .map(one => {
      const because = reasons.get(one)
      return {
        candidate: marking.state(one).install!,
        requested: asked.has(one),
        ...(because === undefined || asked.has(one) ? {} : { because }),
      }
    })
  return { selected, present }
}

/** By the shortest chain from what was asked for; also through what the base system has. */
function reasonsOf(
  marking: Marking,
  asked: Set<Package>,
): { reasons: Map<Package, string>; seen: Set<Package> } {
  const reasons = new Map<Package, string>()
  const seen = new Set(asked)
  const open = [...asked]
  for (const one of open) {
    const { install } = marking.state(one)
    for (const dependency of install ? marking.universe.dependencies(install) : []) {
      if (dependency.negative || !marking.isImportant(dependency)) continue
      for (const target of dependency.targets) {
        for (const { package: other } of marking.matches(dependency, target, 'install')) {
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
  const lacking: string[] = []
  for (const request of requests) {
    const found = universe.find(request.name, request.architecture)
    if (!found) {
      lacking.push(describeLack(universe, request))
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
  if (lacking.length === 0) return [...wanted.values()]
  throw new AirgapError(
    'UNRESOLVABLE',
    `no such package for ${universe.architectures.join(', ')}: ${lacking.join('; ')}`,
    {
      item: at,
      likely: 'a spelling mistake, or the package is in another component or suite',
      next: 'correct the name, or add the component (components: in the manifest) that has it',
    },
  )
}

function describeLack(universe: Universe, { name, architecture, text }: PackageRequest): string {
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
  const there = found.versions.map(one => universe.describe(one)).join(', ')
  if (version !== undefined) {
    const match = found.versions.find(one => compareVersions(one.version, version) === 0)
    if (match) return match
    throw new AirgapError(
      'UNRESOLVABLE',
      `${request.text}: that version is in none of the suites; there is ${there}`,
      {
        item: at,
        likely: 'the archive keeps the newest version only, and has moved on',
        next: 'ask for a version that is there, drop the =version, or add an archive that keeps old versions (snapshot.debian.org)',
      },
    )
  }
  if (suite !== undefined) {
    const match = found.versions.find(one => universe.isIn(one, suite))
    if (match) return match
    throw new AirgapError(
      'UNRESOLVABLE',
      `${request.text}: the suite has no such package; there is ${there}`,
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
    `${request.text} may not be installed: its priority is below 1; there is ${there}`,
    {
      item: at,
      likely: 'a pin, or the priority of a source, rules it out',
      next: 'change pins: or priority: in the manifest, or ask for package=version',
    },
  )
}

function contradiction(one: Wanted, other: Wanted, at: string): AirgapError {
  return new AirgapError(
    'MANIFEST_INVALID',
    `${one.package.name} is asked for in two versions, ${one.version.version} and ${other.version.version}`,
    {
      item: at,
      likely: 'two lists of packages that disagree',
      next: `keep one of ${one.request.text} and ${other.request.text}`,
    },
  )
}
