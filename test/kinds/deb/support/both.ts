import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AirgapError } from '../../../../src/core/errors.ts'
import { type ClosureRequest, closureOf } from '../../../../src/kinds/deb/closure.ts'
import type { DebPin } from '../../../../src/kinds/deb/pin.ts'
import { priorities } from '../../../../src/kinds/deb/policy.ts'
import { Universe } from '../../../../src/kinds/deb/universe.ts'
import { aptSandbox } from './apt.ts'
import { preferencesOf } from './random-world.ts'
import {
  candidateOf,
  listOf,
  sourcesOf,
  statusOf,
  type WorldPackage,
  type WorldSuite,
  writeWorld,
} from './world.ts'

export interface Machine {
  suites: Record<string, WorldSuite>
  pins?: DebPin[]
  installed?: WorldPackage[]
  foreign?: string[]
  settings?: Record<string, string>
}

/** What is installed, as `name_version_architecture`; `refused` where it cannot be. */
export type Outcome = string[] | 'refused'

export interface Both extends AsyncDisposable {
  universe: Universe
  ours(request: Request): Outcome
  apts(request: Request): Promise<Outcome>
  /** what apt prints */
  tell(request: Request): Promise<string>
}

type Request = Pick<ClosureRequest, 'names'> & { recommends?: boolean }

/** One made-up machine, for us and for an apt of its own. */
export async function both(machine: Machine): Promise<Both> {
  const { suites, pins = [], installed = [], foreign = [], settings = {} } = machine
  const folder = await mkdtemp(join(tmpdir(), 'ag-'))
  const architectures = ['amd64', ...foreign]
  const names = Object.keys(suites)
  await writeWorld(folder, suites, { architectures })
  const apt = await aptSandbox(join(folder, 'apt'), {
    sources: sourcesOf(folder, names),
    foreign,
    status: statusOf(installed),
    preferences: preferencesOf(pins),
    settings,
  })
  const updated = await apt.apt('update')
  if (updated.status !== 0) throw new Error(updated.stdout + updated.stderr)
  const universe = universeOf(machine)

  const install = ({ names, recommends = false }: Request) => [
    'install',
    '-y',
    '--print-uris',
    '--allow-downgrades',
    recommends ? '--install-recommends' : '--no-install-recommends',
    ...names,
  ]
  return {
    universe,
    ours: ({ names, recommends = false }) => ourOutcome(universe, { names, recommends, at: 'test' }),
    async apts(request) {
      const output = await apt.apt(...install(request))
      if (output.status !== 0) return 'refused'
      return [...output.stdout.matchAll(/^'[^']*' (\S+)\.deb \d+/gm)].map(match => match[1]!).sort()
    },
    async tell(request) {
      const output = await apt.apt(...install(request), '-o', 'Debug::pkgDepCache::Marker=1')
      return output.stdout + output.stderr
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

export function universeOf({ suites, pins = [], installed = [], foreign = [] }: Machine): Universe {
  const sources = Object.entries(suites).map(([suite, { release = {} }]) => ({
    archive: 'http://archive.example',
    suite,
    release: { Suite: suite, Codename: suite, ...release },
  }))
  const lists = Object.values(suites).flatMap(({ packages }, source) =>
    ['amd64', ...foreign].map(architecture => listOf(packages, { source, architecture })),
  )
  return new Universe(lists, {
    architecture: 'amd64',
    foreign,
    suites: sources,
    priorityOf: priorities(sources, pins),
    installed: installed.map(one => candidateOf(one, -1)),
  })
}

export function ourOutcome(universe: Universe, request: ClosureRequest): Outcome {
  try {
    return closureOf(universe, request)
      .map(({ candidate }) => `${candidate.name}_${candidate.version}_${candidate.architecture}`)
      .sort()
  } catch (error) {
    if (error instanceof AirgapError && error.code === 'UNRESOLVABLE') return 'refused'
    throw error
  }
}
