import { compareText } from '../../core/canonical-json.ts'
import { compareVersions } from '../../core/debian-version.ts'
import { AirgapError } from '../../core/errors.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import type { LeftOut } from '../../lock/left-out.ts'
import type { ResolveContext } from '../kind.ts'
import { type BaseSystem, chooseKernelPackages } from '../package-entry.ts'
import { baseOf } from './base.ts'
import type { Candidate } from './candidate.ts'
import { solve } from './closure.ts'
import type { DebRequest, DebSource } from './entry.ts'
import { flatFolder, isFlat } from './flat.ts'
import { kernelFinder } from './kernel-packages.ts'
import { checkOneDigest, lockPackages } from './lock-package.ts'
import type { LockedDeb, LockedDebs } from './locked.ts'
import { readPackages } from './packages.ts'
import { priorities } from './policy.ts'
import { fetchRelease, type Release, type SuiteRequest } from './release.ts'
import { itemOf, Universe } from './universe.ts'

/** Reads the archives, checks the signatures of their suites, and computes the closure of the requested packages. */
export async function resolveDebs(request: DebRequest, context: ResolveContext): Promise<LockedDebs> {
  for (const source of request.sources) checkSource(source, request)
  const suites = request.sources.map(source => ({ ...source, at: request.at }))
  const releases = await Promise.all(suites.map(suite => fetchRelease(suite, context)))
  const sources = suites.map((suite, i) => ({ ...suite, release: releases[i]!.fields }))
  const priorityOf = priorities(sources, request.pins)
  const locked = new Map<string, LockedDeb>()
  let leftOut = 0
  const noSuchPackage = new Map<string, LeftOut>()
  for (const architecture of request.architectures) {
    const foreign = request.foreignArchitectures.filter(other => other !== architecture)
    const candidates = await readCandidates(suites, { releases, architecture, foreign }, context)
    const installed = baseOf(request.base, candidates, { architecture, foreign, at: request.at })
    const universe = new Universe(candidates, {
      architecture,
      foreign,
      suites: sources,
      priorityOf,
      installed,
    })
    const kernels = chooseKernelPackages(request, kernelFinder(universe, request.at))
    for (const one of kernels.leftOut) noSuchPackage.set(one.name, one)
    const { selected, present } = solve(universe, {
      names: [...new Set([...request.packages, ...kernels.packages])].sort(compareText),
      recommends: request.recommends,
      at: request.at,
    })
    checkOneDigest(universe, selected, request.at)
    leftOut += present
    const added = selected.filter(one => !locked.has(itemOf(one.candidate)))
    const packages = await lockPackages(added, context)
    added.forEach((one, i) => {
      locked.set(itemOf(one.candidate), packages[i]!)
    })
  }
  return {
    name: request.name,
    architectures: request.architectures,
    ...(request.foreignArchitectures.length > 0
      ? { foreignArchitectures: request.foreignArchitectures }
      : {}),
    ...(request.base.type === 'none' ? {} : { base: { name: baseName(request.base), leftOut } }),
    sources: request.sources.map(({ archive, suite, components }, i) => ({
      archive: archive.replace(/\/+$/, ''),
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
    ...(noSuchPackage.size > 0
      ? { leftOut: [...noSuchPackage.values()].sort((a, b) => compareText(a.name, b.name)) }
      : {}),
  }
}

/** Everything that a machine could install, source by source, in apt's order. */
async function readCandidates(
  suites: SuiteRequest[],
  { releases, architecture, foreign }: { releases: Release[]; architecture: string; foreign: string[] },
  context: ResolveContext,
): Promise<Candidate[]> {
  const candidates: Candidate[] = []
  for (const [source, suite] of suites.entries()) {
    const release = releases[source]!
    for (const one of [architecture, ...foreign]) {
      // like apt, skip a source that lacks a foreign architecture
      if (one !== architecture && !isFlat(suite.suite) && !release.architectures.includes(one)) continue
      for (const candidate of await readPackages(suite, { release, architecture: one }, context)) {
        candidate.source = source
        candidates.push(candidate)
      }
    }
  }
  return candidates
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
