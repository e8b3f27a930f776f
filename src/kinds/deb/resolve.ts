import { compareText } from '../../core/canonical-json.ts'
import { compareVersions } from '../../core/debian-version.ts'
import { AirgapError } from '../../core/errors.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import { withoutTrailing } from '../../core/trim.ts'
import type { LeftOut } from '../../lock/left-out.ts'
import type { ResolveContext } from '../kind.ts'
import { type BaseSystem, chooseKernelPackages } from '../package-entry.ts'
import { baseOf } from './base.ts'
import { solve } from './closure.ts'
import type { DebRequest, DebSource } from './entry.ts'
import { flatFolder, isFlat } from './flat.ts'
import { kernelFinder } from './kernel-packages.ts'
import { checkOneDigest, lockPackages } from './lock-package.ts'
import type { LockedDeb, LockedDebs } from './locked.ts'
import type { PackageList } from './package-list.ts'
import { readPackages } from './packages.ts'
import type { DebPin } from './pin.ts'
import { priorities, unusedPins } from './policy.ts'
import { fetchRelease, type Release, type SuiteRequest } from './release.ts'
import { itemOf, Universe } from './universe.ts'

/** Reads the archives, checks the signatures of their suites, and computes the closure of the requested packages. */
export async function resolveDebs(request: DebRequest, context: ResolveContext): Promise<LockedDebs> {
  for (const source of request.sources) checkSource(source, request)
  const suites = request.sources.map(source => ({ ...source, at: request.at }))
  const releases = await Promise.all(suites.map(suite => fetchRelease(suite, context)))
  const sources = suites.map((suite, i) => ({ ...suite, release: releases[i]!.fields }))
  const locked = new Map<string, LockedDeb>()
  const leftOut = new Map<string, LeftOut>()
  const unused: Map<DebPin, string>[] = []
  let presentPackages = 0
  for (const architecture of request.architectures) {
    const foreign = request.foreignArchitectures.filter(other => other !== architecture)
    const { lists, missing } = await readLists(suites, { releases, architecture, foreign }, context)
    for (const one of missing) leftOut.set(one.name, one)
    const priorityOf = priorities(sources, request.pins, architecture)
    unused.push(unusedPins(request.pins, { sources, lists, native: architecture }))
    const installed = baseOf(request.base, lists, { architecture, foreign, at: request.at })
    const universe = new Universe(lists, {
      architecture,
      foreign,
      suites: sources,
      priorityOf,
      installed,
    })
    const kernels = chooseKernelPackages(request, kernelFinder(universe, request.at))
    for (const one of kernels.leftOut) leftOut.set(one.name, one)
    const { selected, present } = solve(universe, {
      names: [...new Set([...request.packages, ...kernels.packages])].sort(compareText),
      recommends: request.recommends,
      at: request.at,
    })
    checkOneDigest(universe, selected, request.at)
    presentPackages += present
    const added = selected.filter(one => !locked.has(itemOf(one.candidate)))
    const packages = await lockPackages(added, context)
    added.forEach((one, i) => {
      locked.set(itemOf(one.candidate), packages[i]!)
    })
  }
  reportUnusedPins(unused, request, context)
  return {
    name: request.name,
    architectures: request.architectures,
    ...(request.foreignArchitectures.length > 0
      ? { foreignArchitectures: request.foreignArchitectures }
      : {}),
    ...(request.base.type === 'none'
      ? {}
      : { base: { name: baseName(request.base), leftOut: presentPackages } }),
    sources: request.sources.map(({ archive, suite, components }, i) => ({
      archive: withoutTrailing(archive, '/'),
      suite,
      components,
      release: releases[i]!.fields,
      signedBy: releases[i]!.signedBy,
    })),
    packages: [...locked.values()].sort(
      (a, b) =>
        compareText(a.name, b.name) ||
        compareVersions(a.version, b.version) ||
        compareText(a.version, b.version) ||
        compareText(a.architecture, b.architecture),
    ),
    ...(leftOut.size > 0
      ? { leftOut: [...leftOut.values()].sort((a, b) => compareText(a.name, b.name)) }
      : {}),
  }
}

/** A pin that fits nothing for any architecture is most often misspelt. */
function reportUnusedPins(
  [first = new Map(), ...others]: Map<DebPin, string>[],
  { pins, name }: DebRequest,
  { progress }: ResolveContext,
): void {
  for (const [pin, why] of first) {
    if (!others.every(other => other.has(pin))) continue
    const { packages, priority: _, ...by } = pin
    const written = Object.entries(by).map(([key, value]) => `, ${key}: ${value}`)
    progress.note(
      `${name}: pins[${pins.indexOf(pin)}] (packages: ${packages.join(' ')}${written.join('')}) has no effect: ${why}`,
    )
  }
}

/** Everything that a machine could install, source by source, in apt's order. Throws UNRESOLVABLE where no suite has anything. */
async function readLists(
  suites: SuiteRequest[],
  { releases, architecture, foreign }: { releases: Release[]; architecture: string; foreign: string[] },
  context: ResolveContext,
): Promise<{ lists: PackageList[]; missing: LeftOut[] }> {
  const lists: PackageList[] = []
  const missing: LeftOut[] = []
  let isServed = false
  for (const [source, suite] of suites.entries()) {
    const release = releases[source]!
    for (const one of [architecture, ...foreign]) {
      const found = await readPackages(suite, { release, architecture: one, source }, context)
      lists.push(...found.lists)
      // like apt, skip a source that lacks a foreign architecture
      if (one !== architecture) continue
      missing.push(...found.missing)
      isServed ||= found.isServed
    }
  }
  if (isServed) return { lists, missing }
  const [first] = missing
  const has = releases.map(
    ({ components, architectures }) =>
      `${components.join(', ') || '(none)'} for ${architectures.join(', ') || '(none)'}`,
  )
  throw new AirgapError(
    'UNRESOLVABLE',
    `no suite has packages for ${architecture}: ${first?.reason ?? 'no components are listed'}`,
    {
      item: suites[0]?.at ?? '',
      likely: `available components: ${[...new Set(has)].join('; ')}`,
      next: 'correct components: or architectures: in the manifest',
    },
  )
}

function baseName(base: BaseSystem): string {
  return base.type === 'named' ? base.name : base.type
}

function checkSource(source: DebSource, request: DebRequest): void {
  const suite = isFlat(source.suite) ? flatFolder(source.suite) || '.' : source.suite
  for (const word of [
    ...(suite === '.' ? [] : [suite]),
    ...source.components,
    ...request.architectures,
    ...request.foreignArchitectures,
  ]) {
    safeRelativePath(word, 'MANIFEST_INVALID')
    if (!/[\s%?#]/.test(word)) continue
    throw new AirgapError(
      'MANIFEST_INVALID',
      `${JSON.stringify(word.slice(0, 200))} cannot be the name of a suite or component`,
      {
        item: request.at,
        likely: 'several names in one string, or a URL',
        next: 'write each name as a separate list element: suites: [jammy, jammy-updates], components: [main, universe]',
      },
    )
  }
}
