import pLimit from 'p-limit'
import { defined } from '../../core/defined.ts'
import { hexOf } from '../../core/digest.ts'
import { AirgapError } from '../../core/errors.ts'
import { globMatcher } from '../../core/glob.ts'
import { safeRelativePath } from '../../core/safe-path.ts'
import { fetchOnce } from '../../remote/fetch-once.ts'
import type { ResolveContext } from '../kind.ts'
import { comparePackages, rpmUrl } from './assemble.ts'
import { installedPackages, namedBase } from './base.ts'
import type { LoadedRepository, ModuleStream, RpmCandidate } from './candidate.ts'
import { closureOf, type SelectedRpm } from './closure.ts'
import type { RpmRepository, RpmRequest } from './entry.ts'
import type { LockedRepository, LockedRpm, LockedRpms } from './locked.ts'
import { chooseModules, type ModuleChoice } from './module-choice.ts'
import { checkPackageSignature } from './package-signature.ts'
import { loadRepository } from './repository.ts'
import { nevraOf } from './request.ts'
import { makeUniverse, type Universe } from './universe.ts'

/** Package headers fetched at the same time. */
const concurrency = 8

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
  for (const architecture of architectures) {
    const { modules, closure } = await resolveArchitecture(architecture, { request, loaded })
    for (const one of closure) {
      const before = selected.get(one.candidate)
      if (!before || (one.requested && !before.requested)) selected.set(one.candidate, one)
    }
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
  }
}

interface Loaded {
  request: RpmRequest
  loaded: readonly LoadedRepository[]
}

async function resolveArchitecture(
  architecture: string,
  { request, loaded }: Loaded,
): Promise<{ modules: ModuleChoice; closure: SelectedRpm[] }> {
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
  const candidates = loaded.flatMap(one => one.packages)
  const hidden = (one: RpmCandidate) =>
    excluded[one.repository]!(one)
      ? 'excludepkgs of its repository excludes it'
      : modules.isHidden(one)
        ? 'it belongs to a module stream that is not enabled, or an active stream has its own version'
        : undefined
  const groups = loaded.flatMap(one => one.groups)
  const priorities = repositories.map(one => one.priority)
  const filelists = new Map<string, RpmCandidate[]>()
  const tried = new Set<string>()
  const resolveWith = async (
    packages: readonly string[],
    installed: RpmCandidate[],
  ): Promise<SelectedRpm[]> => {
    for (;;) {
      const universe = makeUniverse(candidates, { architecture, priorities, installed, filelists, hidden })
      const attempt = tryClosure(universe, packages, { request, groups })
      const unknown = [...universe.unknownFiles].filter(path => !tried.has(path))
      // filelists may change the outcome, even where it looks unsatisfiable without them
      if (unknown.length === 0) return attempt()
      await addOwners(new Set(unknown), { filelists, loaded })
      for (const path of unknown) tried.add(path)
    }
  }
  const { base } = request
  const list = base.type === 'list' ? installedPackages(base.packages, { candidates, architecture }) : []
  const fresh = base.type === 'named' ? await resolveWith(namedBase(base, { groups, at }), []) : []
  const installed = [...list, ...fresh.map(one => ({ ...one.candidate }))]
  return { modules, closure: await resolveWith([...request.packages, ...modules.packages], installed) }
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

type LockContext = Loaded & { context: ResolveContext }

async function lockPackages(selected: readonly SelectedRpm[], options: LockContext): Promise<LockedRpm[]> {
  const { request, loaded, context } = options
  const limit = pLimit(concurrency)
  const perRepository = request.repositories.map(async (repository, index) => {
    const own = selected.filter(one => one.candidate.repository === index)
    const fragments = await loaded[index]!.fragments(own.map(one => one.candidate))
    return Promise.all(
      own.map(({ candidate, requested, because }) =>
        limit(async (): Promise<LockedRpm> => {
          const location = safeLocation(candidate)
          const { name, epoch, version, release, architecture, size } = candidate
          const signedBy = await checkPackageSignature(candidate, repository, context)
          const fragment = fragments.get(candidate)
          if (!fragment)
            throw new AirgapError('INTERNAL', 'a package has no metadata fragment', {
              item: nevraOf(candidate),
            })
          return {
            name,
            epoch,
            version,
            release,
            architecture,
            repository: repository.id,
            location,
            size,
            sha256: await sha256Of(candidate, { repository, context }),
            ...defined({ requested: requested ? (true as const) : undefined, because }),
            signedBy,
            ...fragment,
          }
        }),
      ),
    )
  })
  return (await Promise.all(perRepository)).flat()
}

/** Checks that a location stays below its repository, upstream and on the site. Throws UPSTREAM_INVALID. */
function safeLocation(candidate: RpmCandidate): string {
  try {
    return safeRelativePath(candidate.location, 'UPSTREAM_INVALID')
  } catch (error) {
    throw new AirgapError('UPSTREAM_INVALID', 'the repository has an unsafe path for a package', {
      item: `${nevraOf(candidate)}: ${JSON.stringify(candidate.location.slice(0, 300))}`,
      likely: 'a malicious or broken repository: the path would leave its folder',
      next: 'do not use this repository',
      cause: error,
    })
  }
}

/** Packages with SHA-384 or SHA-512 checksums are fetched once while locking, because bundles address content by SHA-256. */
async function sha256Of(
  candidate: RpmCandidate,
  { repository, context }: { repository: RpmRepository; context: ResolveContext },
): Promise<string> {
  const { type, hex } = candidate.checksum
  if (type === 'sha256') return hex
  const url = rpmUrl(repository.baseurl, candidate.location)
  const { digest, size } = await fetchOnce(url, context)
  if (size !== candidate.size) {
    throw new AirgapError(
      'SIZE_MISMATCH',
      `a package has ${size} bytes; its repository lists ${candidate.size}`,
      {
        item: nevraOf(candidate),
        likely: 'the mirror is being updated, or the package was replaced',
        next: 'try again later, or use another mirror',
      },
    )
  }
  const { createHash } = await import('node:crypto')
  const hash = createHash(type)
  for await (const chunk of await context.cache.open({ mediaType: 'application/octet-stream', digest, size }))
    hash.update(chunk)
  if (hash.digest('hex') !== hex) {
    throw new AirgapError(
      'DIGEST_MISMATCH',
      `the ${type} digest of a package differs from the repository’s`,
      {
        item: nevraOf(candidate),
        likely: 'the mirror is being updated, or the package was replaced',
        next: 'try again later, or use another mirror',
      },
    )
  }
  return hexOf(digest)
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
    baseurl: repository.baseurl.replace(/\/+$/, ''),
    keys: loaded.keys,
    ...(repository.metadata === 'unsigned' ? { unsignedMetadata: true as const } : {}),
    priority: repository.priority,
    ...(repository.moduleHotfixes ? { moduleHotfixes: true as const } : {}),
    modules: [
      ...own.map(one => one.document),
      ...loaded.defaults.filter(one => names.has(one.name)).map(one => one.document),
    ],
    groups,
  }
}

function groupsAskedFor(packages: readonly string[], { groups }: LoadedRepository): string[] {
  const requested = packages.filter(one => one.startsWith('@')).map(one => one.slice(1).replace(/^\^/, ''))
  const direct = groups.filter(one => requested.includes(one.id) || requested.includes(one.name))
  const ids = new Set(direct.flatMap(one => [one.id, ...one.groups.mandatory, ...one.groups.optional]))
  return groups.filter(one => ids.has(one.id)).map(one => one.document)
}
