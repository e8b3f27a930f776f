import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AirgapError } from '../../../src/core/errors.ts'
import type { RpmCandidate } from '../../../src/kinds/rpm/candidate.ts'
import { closureOf } from '../../../src/kinds/rpm/closure.ts'
import { chooseModules } from '../../../src/kinds/rpm/module-choice.ts'
import { PackageTable } from '../../../src/kinds/rpm/package-table.ts'
import { PrimaryReader } from '../../../src/kinds/rpm/primary.ts'
import { compatibleArchitectures, makeUniverse } from '../../../src/kinds/rpm/universe.ts'
import { randomOf } from '../upstreams/seeded-random.ts'
import { fullNevra } from './nevra.ts'
import { randomModules } from './random-modules.ts'
import { type RandomOptions, randomRpms } from './random-rpms.ts'
import { writeMetadata } from './write-rpm-metadata.ts'

export interface OracleSetup {
  root: string
  cache: string
  arch: string
  weak: boolean
  platform: string
  modules: string[]
  repositories: { id: string; url: string; priority: number; exclude: string[]; hotfixes: boolean }[]
  requests: string[][]
}

export type Answer = { packages: string[] } | { error: string }

/** Resolves with dnf's Python library, which the dnf command is built on. */
export async function resolveWithDnf(setup: OracleSetup): Promise<Answer[]> {
  const child = spawn('/usr/bin/python3', [join(import.meta.dirname, 'dnf-oracle.py')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.end(JSON.stringify(setup))
  let text = ''
  for await (const chunk of child.stdout) text += chunk
  const lines = text.split('\n').filter(line => line.startsWith('{'))
  return lines.map(line => JSON.parse(line) as Answer)
}

export interface Agreement {
  compared: number
  same: number
  bothRefuse: number
  differences: { request: string[]; ours: Answer; dnfs: Answer }[]
}

/** Resolves the same random requests with dnf and with our closure, on random repositories. */
export async function compareRandom(
  options: RandomOptions & { requests: number; weak: boolean; modules?: number },
): Promise<Agreement> {
  const folder = await mkdtemp(join(tmpdir(), 'agreement-dnf-'))
  try {
    const { repositories, hidden } = randomRpms(options)
    const priorities = repositories.map((_, i) => (i === 1 && options.trouble > 0.5 ? 50 : 99))
    const modules = randomModules(repositories, { seed: options.seed, modules: options.modules ?? 0 })
    for (const [i, packages] of repositories.entries()) {
      await writeMetadata(join(folder, `r${i}`), packages, {
        files: one => hidden.get(one) ?? [],
        ...(modules.documents[i] ? { modules: modules.documents[i] } : {}),
      })
    }
    const random = randomOf(options.seed + 1)
    const requests = Array.from({ length: options.requests }, () =>
      Array.from(
        { length: 1 + Math.floor(random() * 3) },
        () => `pkg${Math.floor(random() * options.names)}`,
      ),
    )
    await mkdir(join(folder, 'root'))
    const dnfs = await resolveWithDnf({
      root: join(folder, 'root'),
      cache: join(folder, 'cache'),
      arch: 'x86_64',
      weak: options.weak,
      platform: 'platform:el9',
      modules: modules.enabled,
      repositories: repositories.map((_, i) => ({
        id: `r${i}`,
        url: `file://${join(folder, `r${i}`)}`,
        priority: priorities[i]!,
        exclude: [],
        hotfixes: false,
      })),
      requests,
    })
    const tables = await Promise.all(repositories.map((_, i) => readTable(join(folder, `r${i}`), i)))
    const filelists = new Map<string, RpmCandidate[]>()
    for (const [{ repository, checksum }, files] of hidden) {
      const one = tables[repository]!.withChecksum(checksum.hex)!
      for (const file of files) filelists.set(file, [...(filelists.get(file) ?? []), one])
    }
    const answer = (packages: string[]) => {
      const { isHidden } = chooseModules({
        ...modules,
        modules: modules.enabled,
        platform: 'platform:el9',
        architecture: 'x86_64',
        hotfixes: new Set(),
        at: 'test',
      })
      const hidden = (one: RpmCandidate) => (isHidden(one) ? 'hidden by a module' : undefined)
      const universe = makeUniverse(tables, {
        priorities,
        architecture: 'x86_64',
        installed: [],
        filelists,
        hidden,
      })
      const request = { packages, weak: options.weak, groups: [], at: 'test' }
      return closureOf(universe, request).map(one => one.candidate)
    }
    return tally(
      requests,
      dnfs,
      requests.map(request => ours(() => answer(request))),
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The repository as it was written for dnf. */
async function readTable(folder: string, repository: number): Promise<PackageTable> {
  const architectures = new Set(compatibleArchitectures('x86_64'))
  const reader = new PrimaryReader({ item: folder, architectures })
  reader.write(await readFile(join(folder, 'repodata', 'primary.xml')))
  return new PackageTable(reader.columns(), { repository, item: folder })
}

export function ours(resolve: () => RpmCandidate[]): Answer {
  try {
    return { packages: resolve().map(fullNevra).sort() }
  } catch (error) {
    if (error instanceof AirgapError && error.code === 'UNRESOLVABLE') return { error: error.message }
    throw error
  }
}

export function tally(requests: string[][], dnfs: Answer[], own: Answer[]): Agreement {
  const result: Agreement = { compared: requests.length, same: 0, bothRefuse: 0, differences: [] }
  for (const [i, request] of requests.entries()) {
    const a = own[i]!
    const b = dnfs[i] ?? { error: 'no answer from dnf' }
    if ('error' in a && 'error' in b) {
      result.same++
      result.bothRefuse++
    } else if ('packages' in a && 'packages' in b && a.packages.join() === b.packages.join()) result.same++
    else result.differences.push({ request, ours: a, dnfs: b })
  }
  return result
}
