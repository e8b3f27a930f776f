import { compareText } from '../../core/canonical-json.ts'
import { defined } from '../../core/defined.ts'
import { globMatcher } from '../../core/glob.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import { withoutTrailing } from '../../core/trim.ts'
import type { LeftOut } from '../../lock/left-out.ts'
import { toTextLines } from '../../lock/text-lines.ts'
import type { ResolveContext } from '../kind.ts'
import { chooseKernelPackages } from '../package-entry.ts'
import { comparePackages } from './assemble.ts'
import { installedPackages, namedBase } from './base.ts'
import type { ModuleStream, RpmCandidate } from './candidate.ts'
import { closureOf, type SelectedRpm } from './closure.ts'
import type { RpmRepository, RpmRequest } from './entry.ts'
import { kernelFinder, kernelsOf } from './kernel-packages.ts'
import { placeOfPackage } from './location.ts'
import { lockPackages } from './lock-packages.ts'
import type { LockedRepository, LockedRpms } from './locked.ts'
import { chooseModules, type ModuleChoice } from './module-choice.ts'
import { type LoadedRepository, loadRepository } from './repository.ts'
import { nevraOf } from './request.ts'
import { makeUniverse, type Universe } from './universe.ts'

/** Reads the repositories, chooses module streams, computes the closure of the requested packages and checks their signatures. */
export async function resolveRpms(request: RpmRequest, context: ResolveContext): Promise<LockedRpms> {
  for (const word of [request.name, ...request.repositories.map(one => one.id)])
    safeRelativePath(word, 'MANIFEST_INVALID')
  const { repositories, architectures, at } = request
  const loaded = await Promise.all(
    repositories.map((one, index) => loadRepository(one, { at, architectures, index }, context)),
  )
  const selected = new Map<RpmCandidate, SelectedRpm>()
  const streams = new Set<ModuleStream>()
  const enabled = new Set<string>()
  const leftOut = new Map<string, LeftOut>()
  for (const architecture of architectures) {
    const { modules, closure, refused, kernels } = await resolveArchitecture(architecture, {
      request,
      loaded,
    })
    for (const one of closure) {
      const before = selected.get(one.candidate)
      if (!before || (one.requested && !before.requested)) selected.set(one.candidate, one)
    }
    for (const one of kernels) leftOut.set(one.name, one)
    for (const [one, reason] of refused) leftOut.set(nevraOf(one), { name: nevraOf(one), reason })
    for (const one of modules.active) streams.add(one)
    for (const one of modules.enabled) enabled.add(one)
  }
  const packages = await lockPackages([...selected.values()], { request, loaded, context })
  const taken = takenStreams([...streams], { enabled, selected: [...selected.keys()] })
  return {
    name: request.name,
    architectures,
    streams: [
      ...new Set(taken.map(one => `${one.name}:${one.stream}`).filter(name => enabled.has(name))),
    ].sort(),
    repositories: repositories.map((one, i) =>
      lockedRepository(one, { loaded: loaded[i]!, index: i, taken, request }),
    ),
    packages: packages.sort(comparePackages),
    ...defined({
      leftOut:
        leftOut.size > 0 ? [...leftOut.values()].sort((a, b) => compareText(a.name, b.name)) : undefined,
    }),
  }
}

interface Loaded {
  request: RpmRequest
  loaded: readonly LoadedRepository[]
}

async function resolveArchitecture(
  architecture: string,
  { request, loaded }: Loaded,
): Promise<{
  modules: ModuleChoice
  closure: SelectedRpm[]
  /** packages that cannot be carried, with the reason */
  refused: Map<RpmCandidate, string>
  /** packages for kernels that do not exist */
  kernels: LeftOut[]
}> {
  const { repositories, at } = request
  const modules = chooseModules({
    modules: request.modules,
    streams: loaded.flatMap(one => one.modules),
    defaults: loaded.flatMap(one => one.defaults),
    platform: request.platform,
    architecture,
    hotfixes: new Set(repositories.flatMap((one, i) => (one.moduleHotfixes ? [i] : []))),
    at,
  })
  const excluded = repositories.map(one => excluder(one.excludepkgs))
  const lists = loaded.map(one => one.packages)
  const refused = new Map<RpmCandidate, string>()
  const hidden = (one: RpmCandidate) =>
    refused.get(one) ??
    (excluded[one.repository]!(one)
      ? 'excludepkgs of its repository excludes it'
      : modules.isHidden(one)
        ? 'it belongs to a module stream that is not enabled, or an active stream has its own version'
        : undefined)
  const groups = loaded.flatMap(one => one.groups)
  const priorities = repositories.map(one => one.priority)
  const filelists = new Map<string, RpmCandidate[]>()
  const tried = new Set<string>()
  const resolveWith = async (
    packages: readonly string[],
    installed: RpmCandidate[],
  ): Promise<SelectedRpm[]> => {
    for (;;) {
      const universe = makeUniverse(lists, { architecture, priorities, installed, filelists, hidden })
      const attempt = tryClosure(universe, packages, { request, groups })
      const unknown = [...universe.unknownFiles].filter(path => !tried.has(path))
      // filelists may change the outcome, even where it looks unsatisfiable without them
      if (unknown.length === 0) return attempt()
      await addOwners(new Set(unknown), { filelists, loaded })
      for (const path of unknown) tried.add(path)
    }
  }
  const { base } = request
  const list = base.type === 'list' ? installedPackages(base.packages, { lists, architecture }) : []
  const fresh = base.type === 'named' ? await resolveWith(namedBase(base, { groups, at }), []) : []
  const installed = [...list, ...fresh.map(one => ({ ...one.candidate }))]
  const kernels = chooseKernelPackages(
    { ...request, kernels: kernelsOf(request.kernels ?? [], { ...request, architecture }) },
    kernelFinder(makeUniverse(lists, { architecture, priorities, installed, hidden })),
  )
  const requested = [...request.packages, ...kernels.packages, ...modules.packages]
  for (;;) {
    const closure = await resolveWith(requested, installed)
    const more = closure.flatMap(({ candidate }) => {
      const place = placeOfPackage(candidate, loaded[candidate.repository]!.upstream)
      return 'refused' in place ? [[candidate, place.refused] as const] : []
    })
    if (more.length === 0) return { modules, closure, refused, kernels: kernels.leftOut }
    // what cannot be carried is left out where another package does, and otherwise named as the reason
    for (const [candidate, reason] of more) refused.set(candidate, reason)
  }
}

/** Defers the outcome, or its error, until all file dependencies are known. */
function tryClosure(
  universe: Universe,
  packages: readonly string[],
  { request, groups }: { request: RpmRequest; groups: LoadedRepository['groups'] },
): () => SelectedRpm[] {
  try {
    const closure = closureOf(universe, { packages, weak: request.weak, groups, at: request.at })
    return () => closure
  } catch (error) {
    return () => {
      throw error
    }
  }
}

async function addOwners(
  paths: ReadonlySet<string>,
  { filelists, loaded }: { filelists: Map<string, RpmCandidate[]>; loaded: readonly LoadedRepository[] },
): Promise<void> {
  for (const one of loaded) {
    for (const [path, owners] of await one.ownersOf(paths)) {
      filelists.set(path, [...(filelists.get(path) ?? []), ...owners])
    }
  }
  for (const path of paths) if (!filelists.has(path)) filelists.set(path, [])
}

/** dnf.conf(5): names, or name-version-release.arch in its forms, as patterns. */
function excluder(patterns: readonly string[]): (candidate: RpmCandidate) => boolean {
  const matchers = patterns.map(pattern => globMatcher(pattern))
  return candidate => {
    if (matchers.length === 0) return false
    const { name, epoch, version, release, architecture } = candidate
    const evr = `${version}-${release}`
    const forms = [
      name,
      `${name}.${architecture}`,
      `${name}-${version}`,
      `${name}-${evr}`,
      `${name}-${evr}.${architecture}`,
      `${name}-${epoch}:${evr}`,
      `${name}-${epoch}:${evr}.${architecture}`,
    ]
    return matchers.some(matches => forms.some(matches))
  }
}

/** Streams of which a package is carried, or that machines must enable. */
function takenStreams(
  streams: readonly ModuleStream[],
  { enabled, selected }: { enabled: ReadonlySet<string>; selected: readonly RpmCandidate[] },
): ModuleStream[] {
  const carried = new Set(
    selected.flatMap(({ name, epoch, version, release, architecture }) => {
      const rest = `${version}-${release}.${architecture}`
      return [`${name}-${epoch}:${rest}`, ...(epoch === '0' ? [`${name}-${rest}`] : [])]
    }),
  )
  return streams.filter(
    one => enabled.has(`${one.name}:${one.stream}`) || one.artifacts.some(artifact => carried.has(artifact)),
  )
}

function lockedRepository(
  repository: RpmRepository,
  options: { loaded: LoadedRepository; index: number; taken: readonly ModuleStream[]; request: RpmRequest },
): LockedRepository {
  const { loaded, index, taken, request } = options
  const own = taken.filter(one => one.repository === index)
  const names = new Set(taken.map(one => one.name))
  const groups = groupsAskedFor(request.packages, loaded)
  return {
    id: repository.id,
    keys: loaded.keys.map(toTextLines),
    ...defined({
      baseurl: repository.baseurl && withoutTrailing(repository.baseurl, '/'),
      mirrorlist: repository.mirrorlist,
      metalink: repository.metalink,
      variables: repository.variables,
      unsignedMetadata: repository.metadata === 'unsigned' ? (true as const) : undefined,
      unsignedPackages: repository.packages === 'unsigned' ? (true as const) : undefined,
      signedBy: repository.packages === 'unsigned' ? loaded.signedBy : undefined,
    }),
    priority: repository.priority,
    ...(repository.moduleHotfixes ? { moduleHotfixes: true as const } : {}),
    modules: [
      ...own.map(one => one.document),
      ...loaded.defaults.filter(one => names.has(one.name)).map(one => one.document),
    ].map(toTextLines),
    groups: groups.map(toTextLines),
  }
}

function groupsAskedFor(packages: readonly string[], { groups }: LoadedRepository): string[] {
  const requested = packages.filter(one => one.startsWith('@')).map(one => one.slice(1).replace(/^\^/, ''))
  const direct = groups.filter(one => requested.includes(one.id) || requested.includes(one.name))
  const ids = new Set(direct.flatMap(one => [one.id, ...one.groups.mandatory, ...one.groups.optional]))
  return groups.filter(one => ids.has(one.id)).map(one => one.document)
}
