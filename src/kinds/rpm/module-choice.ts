import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import type { ModuleDefaults, ModuleStream, RpmCandidate, RpmRelation } from './candidate.ts'
import { listOf } from './package-list.ts'
import type { Rule } from './rules.ts'
import { packageRules } from './rules.ts'
import { solve } from './solver.ts'
import { compatibleArchitectures, makeUniverse, type Universe } from './universe.ts'

export interface ModuleRequest {
  /** `name:stream[/profile]`; without a stream the default one */
  modules: readonly string[]
  streams: readonly ModuleStream[]
  defaults: readonly ModuleDefaults[]
  /** `platform:el9` */
  platform: string
  architecture: string
  /** indexes of repositories whose packages are never hidden by a module (module_hotfixes) */
  hotfixes: ReadonlySet<number>
  /** `file:line:column` */
  at: string
}

export interface ModuleChoice {
  /** requested, default, or required by such a stream */
  active: ModuleStream[]
  /** `name:stream` of the active streams that are not defaults: machines must enable them */
  enabled: string[]
  /** packages of the requested profiles */
  packages: string[]
  /** dnf's filter: packages of inactive streams, and packages that an active stream replaces */
  isHidden(candidate: RpmCandidate): boolean
}

interface Wanted {
  name: string
  stream: string
  profile?: string
}

/** Chooses the active streams as libdnf does, with streams as packages of the same solver. Throws UNRESOLVABLE. */
export function chooseModules(request: ModuleRequest): ModuleChoice {
  const runsHere = compatibleArchitectures(request.architecture)
  const streams = request.streams.filter(one => runsHere.includes(one.architecture))
  const defaults = defaultStreams(request.defaults)
  const wanted = request.modules.map(text => wantedModule(text, { ...request, streams, defaultOf: defaults }))
  checkOneStream(wanted, request.at)
  const active = activeStreams(streams, { ...request, wanted, defaultOf: defaults })
  return {
    active,
    enabled: [
      ...new Set(
        active.filter(one => defaults.get(one.name) !== one.stream || isWanted(one, wanted)).map(nameOf),
      ),
    ].sort(),
    packages: wanted.flatMap(one => profilePackages(one, active, request)),
    isHidden: hiddenBy(streams, active, request.hotfixes),
  }
}

function nameOf({ name, stream }: { name: string; stream: string }): string {
  return `${name}:${stream}`
}

function isWanted(one: ModuleStream, wanted: readonly Wanted[]): boolean {
  return wanted.some(({ name, stream }) => name === one.name && stream === one.stream)
}

/** Where repositories disagree about a default, the module has none (libmodulemd's merge rule). */
function defaultStreams(defaults: readonly ModuleDefaults[]): Map<string, string> {
  const found = new Map<string, string | undefined>()
  for (const { name, stream } of defaults) {
    if (stream === undefined) continue
    found.set(name, found.has(name) && found.get(name) !== stream ? undefined : stream)
  }
  return new Map(
    [...found].flatMap(([name, stream]) => (stream === undefined ? [] : [[name, stream] as const])),
  )
}

interface Known {
  streams: readonly ModuleStream[]
  defaultOf: ReadonlyMap<string, string>
  at: string
}

function wantedModule(text: string, { streams, defaultOf, at }: Known): Wanted {
  const slash = text.indexOf('/')
  const spec = slash < 0 ? text : text.slice(0, slash)
  const profile = slash < 0 ? undefined : text.slice(slash + 1)
  const [name = '', named] = spec.split(':')
  const there = [...new Set(streams.filter(one => one.name === name).map(one => one.stream))].sort()
  const all =
    there.length === 0 ? 'no repository of the entry has this module' : `its streams are ${there.join(', ')}`
  const stream = named ?? defaultOf.get(name)
  if (stream === undefined) {
    throw new AirgapError('UNRESOLVABLE', `the module ${name} has no default stream`, {
      item: at,
      likely: all,
      next: `name a stream: ${name}:${there[0] ?? 'STREAM'}`,
    })
  }
  if (!there.includes(stream)) {
    throw new AirgapError('UNRESOLVABLE', `the stream ${name}:${stream} does not exist`, {
      item: at,
      likely: all,
      next: 'correct the stream (modules:), or add the repository that has it',
    })
  }
  return { name, stream, ...defined({ profile }) }
}

/** Fault 49: one machine has one stream of a module. */
function checkOneStream(wanted: readonly Wanted[], at: string): void {
  for (const one of wanted) {
    const other = wanted.find(two => two.name === one.name && two.stream !== one.stream)
    if (!other) continue
    throw new AirgapError('UNRESOLVABLE', `${nameOf(one)} and ${nameOf(other)} are streams of one module`, {
      item: at,
      likely: 'a machine can have one stream of a module enabled',
      next: 'keep one of them, or split them into two entries with different names',
    })
  }
}

function activeStreams(
  streams: readonly ModuleStream[],
  { platform, architecture, wanted, defaultOf, at }: Known & ModuleRequest & { wanted: readonly Wanted[] },
): ModuleStream[] {
  const requested = new Set(wanted.map(one => one.name))
  const byCandidate = new Map(streams.map(one => [streamCandidate(one), one]))
  const universe = makeUniverse([listOf([...byCandidate.keys()])], {
    architecture,
    priorities: [],
    installed: [platformCandidate(platform)],
  })
  const job = (name: string, stream: string): Rule => ({
    literals: [...universe.providers({ name: `module(${name}:${stream})` })],
    reason: 'job',
    requested: `${name}:${stream}`,
  })
  const strict = wanted.map(one => job(one.name, one.stream))
  let optional = [...defaultOf]
    .filter(
      ([name, stream]) =>
        !requested.has(name) && streams.some(one => one.name === name && one.stream === stream),
    )
    .map(([name, stream]) => job(name, stream))
  const rules = packageRules(universe, [1, ...[...strict, ...optional].flatMap(one => one.literals)], {
    weak: false,
    multiversion: new Set(),
    anyArchitecture: new Set(),
  })
  rules.push({ literals: [1], reason: 'keep', of: 1 })
  for (;;) {
    const jobs = [...strict, ...optional]
    const solution = solve(universe, { rules, jobs, weak: false })
    if ('selected' in solution) {
      // all versions of what was chosen: goal2name_query of libdnf
      const names = new Set(solution.selected.map(id => universe.candidate(id).name))
      return [...byCandidate].flatMap(([candidate, one]) => (names.has(candidate.name) ? [one] : []))
    }
    // dnf, too, continues without a default stream that cannot be enabled
    const inTheWay = optional.find(one => solution.proof.includes(one))
    if (!inTheWay) throw conflict(universe, solution.proof, at)
    optional = optional.filter(one => one !== inTheWay)
  }
}

/** A stream as libdnf passes it to the solver (ModulePackage.cpp): contexts with the same requirements are versions of one package. */
function streamCandidate(stream: ModuleStream): RpmCandidate {
  const requires: RpmRelation[] = []
  const conflicts: RpmRelation[] = [{ name: `module(${stream.name})` }]
  const context: string[] = []
  for (const alternative of stream.requires) {
    for (const [module, streams] of alternative) {
      const positive = streams.filter(one => !one.startsWith('-'))
      for (const one of streams)
        if (one.startsWith('-')) conflicts.push({ name: `module(${module}:${one.slice(1)})` })
      const names = positive.map(one => `module(${module}:${one})`)
      requires.push({
        name:
          names.length === 0
            ? `module(${module})`
            : names.length === 1
              ? names[0]!
              : `(${names.join(' or ')})`,
      })
      if (module !== 'platform') context.push(`${module}:[${[...positive].sort().join(',')}]`)
    }
  }
  return {
    ...emptyCandidate,
    name: `${stream.name}:${stream.stream}:${context.sort().join(';') || 'NoRequires'}`,
    version: stream.version,
    architecture: stream.architecture,
    repository: stream.repository,
    provides: [{ name: `module(${stream.name})` }, { name: `module(${nameOf(stream)})` }],
    requires,
    conflicts,
  }
}

function platformCandidate(platform: string): RpmCandidate {
  return {
    ...emptyCandidate,
    name: platform,
    architecture: 'noarch',
    provides: [{ name: 'module(platform)' }, { name: `module(${platform})` }],
  }
}

const emptyCandidate: RpmCandidate = {
  name: '',
  epoch: '0',
  version: '0',
  release: '0',
  architecture: 'noarch',
  repository: 0,
  location: '',
  size: 0,
  checksum: { type: 'sha256', hex: '' },
  headerRange: { start: 0, end: 0 },
  provides: [],
  requires: [],
  conflicts: [],
  obsoletes: [],
  recommends: [],
  supplements: [],
  suggests: [],
  enhances: [],
  files: [],
  primary: { offset: 0, length: 0 },
}

function conflict(universe: Universe, proof: readonly Rule[], at: string): AirgapError {
  const show = (id: number) => universe.candidate(id).name.split(':').slice(0, 2).join(':')
  const lines = proof.flatMap(({ reason, literals, of, relation, requested }) => {
    const own = of === undefined ? '' : show(of)
    if (reason === 'job') return [`requested: ${requested}`]
    if (reason === 'requires') return [`${own} needs ${relation?.name}`]
    if (reason === 'nothing-provides') return [`${own} needs ${relation?.name}, which no repository has`]
    if (reason === 'conflicts')
      return [`${literals.map(literal => show(Math.abs(literal))).join(' and ')} exclude each other`]
    return []
  })
  return new AirgapError(
    'UNRESOLVABLE',
    ['the modules cannot be enabled together:', ...[...new Set(lines)].map(line => `  ${line}`)],
    {
      item: at,
      likely: 'a stream requires another stream than the requested one, or is built for another platform',
      next: 'choose compatible streams (modules:), or correct platform:',
    },
  )
}

function profilePackages(
  { name, stream, profile }: Wanted,
  active: readonly ModuleStream[],
  { at }: { at: string },
): string[] {
  if (profile === undefined) return []
  const own = active.filter(one => one.name === name && one.stream === stream)
  const found = own.find(one => one.profiles.has(profile))
  if (found) return found.profiles.get(profile) ?? []
  const there = [...new Set(own.flatMap(one => [...one.profiles.keys()]))].sort()
  throw new AirgapError('UNRESOLVABLE', `${name}:${stream} has no profile ${profile}`, {
    item: at,
    likely: there.length === 0 ? 'the stream has no profiles' : `its profiles are ${there.join(', ')}`,
    next: 'correct the profile (modules:), or leave it out and name the packages',
  })
}

/** setModuleExcludes of libdnf. */
function hiddenBy(
  streams: readonly ModuleStream[],
  active: readonly ModuleStream[],
  hotfixes: ReadonlySet<number>,
): (candidate: RpmCandidate) => boolean {
  const included = new Set(active.flatMap(one => one.artifacts.map(withEpoch)))
  const excluded = new Set(
    streams.filter(one => !active.includes(one)).flatMap(one => one.artifacts.map(withEpoch)),
  )
  const names = new Set(
    active.flatMap(one => one.artifacts.filter(text => !/\.(?:no)?src$/.test(text)).map(artifactName)),
  )
  return candidate => {
    if (hotfixes.has(candidate.repository)) return false
    const { name, epoch, version, release, architecture } = candidate
    const own = `${name}-${epoch}:${version}-${release}.${architecture}`
    if (included.has(own)) return false
    return excluded.has(own) || names.has(name) || candidate.provides.some(one => names.has(one.name))
  }
}

function artifactName(nevra: string): string {
  const dash = nevra.lastIndexOf('-')
  return nevra.slice(0, nevra.lastIndexOf('-', dash - 1))
}

function withEpoch(nevra: string): string {
  const name = artifactName(nevra)
  const rest = nevra.slice(name.length + 1)
  return rest.includes(':') ? nevra : `${name}-0:${rest}`
}
