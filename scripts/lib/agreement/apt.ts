import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { AirgapError } from '../../../src/core/errors.ts'
import { closureOf } from '../../../src/kinds/deb/closure.ts'
import { readPackages } from '../../../src/kinds/deb/packages.ts'
import { fetchRelease } from '../../../src/kinds/deb/release.ts'
import { Universe } from '../../../src/kinds/deb/universe.ts'
import { type AptSandbox, aptSandbox } from '../../../test/kinds/deb/support/apt.ts'
import { sourceOf, withContext } from '../../../test/kinds/deb/support/resolve.ts'
import { randomOf } from '../upstreams/seeded-random.ts'

/**
 * `scripts/agreement [--count N] [--each] [--seed N] [--only TEXT]`: draws random requests of one to six packages from main of
 * Debian 12 and 13, resolves them with apt (`--print-uris`, an empty system) and with our closure, and prints the differences.
 * `--count` is the total, or with `--each` the number for each of the eight combinations of suite, architecture and Recommends.
 */
const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '300' },
    each: { type: 'boolean', default: false },
    seed: { type: 'string', default: '20240613' },
    only: { type: 'string', default: '' },
  },
})

const archive = 'http://deb.debian.org/debian'
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

interface Pool {
  suite: string
  architecture: string
  universe: Universe
  names: string[]
  apt: AptSandbox
}

interface Tally {
  compared: number
  equal: number
  refused: number
  ours: number
  theirs: number
}

const folder = await mkdtemp(join(tmpdir(), 'ag-agreement-'))
try {
  process.exitCode = (await main()) ? 0 : 1
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** Returns true where nothing differs. */
async function main(): Promise<boolean> {
  const combinations = ['bookworm', 'trixie'].flatMap(suite =>
    ['amd64', 'arm64'].flatMap(architecture =>
      [false, true].map(recommends => ({ suite, architecture, recommends })),
    ),
  )
  const chosen = combinations.filter(one => labelOf(one).includes(options.only))
  const count = Number(options.count)
  const random = randomOf(Number(options.seed))
  const total: Tally = { compared: 0, equal: 0, refused: 0, ours: 0, theirs: 0 }
  let pool: Pool | undefined
  for (const [i, one] of chosen.entries()) {
    if (pool?.suite !== one.suite || pool.architecture !== one.architecture) pool = await openPool(one)
    const share = options.each
      ? count
      : Math.floor(count / chosen.length) + (i < count % chosen.length ? 1 : 0)
    const tally = await compare(pool, { recommends: one.recommends, share, random })
    print(labelOf(one), tally)
    for (const key of Object.keys(total) as (keyof Tally)[]) total[key] += tally[key]
  }
  print('all', total)
  return total.equal === total.compared
}

function labelOf({
  suite,
  architecture,
  recommends,
}: {
  suite: string
  architecture: string
  recommends: boolean
}) {
  return `${suite} ${architecture} ${recommends ? 'with' : 'without'} Recommends`
}

function print(label: string, { compared, equal, refused, ours, theirs }: Tally): void {
  const percent = ((100 * equal) / compared).toFixed(1)
  console.log(
    `${label}: ${equal} of ${compared} equal (${percent} %; ${refused} of them refused by both), ours ${(ours / 1000).toFixed(1)} s, apt ${(theirs / 1000).toFixed(1)} s`,
  )
}

async function openPool({ suite, architecture }: { suite: string; architecture: string }): Promise<Pool> {
  const work = join(folder, `${suite}-${architecture}`)
  const request = { ...sourceOf({ archive, suite, keys: [keyring] }), at: 'agreement' }
  const { lists } = await withContext({ folder: work }, async context => {
    const release = await fetchRelease(request, context)
    return readPackages(request, { release, architecture }, context)
  })
  const sources = `Types: deb\nURIs: ${archive}\nSuites: ${suite}\nComponents: main\nSigned-By: ${keyring}\n`
  const apt = await aptSandbox(join(work, 'apt'), { sources, architecture })
  const updated = await apt.apt('update')
  if (updated.status !== 0) throw new Error(updated.stdout + updated.stderr)
  const universe = new Universe(lists, { architecture })
  return { suite, architecture, universe, names: [...universe.names()].sort(), apt }
}

async function compare(
  { universe, names, apt, suite, architecture }: Pool,
  { recommends, share, random }: { recommends: boolean; share: number; random: () => number },
): Promise<Tally> {
  const tally: Tally = { compared: 0, equal: 0, refused: 0, ours: 0, theirs: 0 }
  for (let i = 0; i < share; i++) {
    const size = 1 + Math.floor(random() * 6)
    const drawn = Array.from({ length: size }, () => names[Math.floor(random() * names.length)]!)
    const request = [...new Set(drawn)].sort()
    const start = performance.now()
    const ours = resolveOurs(universe, request, recommends)
    const between = performance.now()
    const theirs = await resolveWithApt(apt, request, recommends)
    tally.compared++
    tally.ours += between - start
    tally.theirs += performance.now() - between
    const [more, fewer] = [without(ours, theirs), without(theirs, ours)]
    if (more.length + fewer.length === 0) {
      tally.equal++
      if (ours.length === 0) tally.refused++
      continue
    }
    console.log(`differs: ${labelOf({ suite, architecture, recommends })}: ${request.join(' ')}`)
    console.log(`  only ours (of ${ours.length}): ${more.slice(0, 12).join(' ')}`)
    console.log(`  only apt's (of ${theirs.length}): ${fewer.slice(0, 12).join(' ')}`)
  }
  return tally
}

/** Returns undefined where the request is refused. */
function resolveOurs(universe: Universe, names: string[], recommends: boolean): string[] {
  try {
    return closureOf(universe, { names, recommends, at: 'agreement' }).map(
      ({ candidate }) => `${candidate.name}_${candidate.version}_${candidate.architecture}`,
    )
  } catch (error) {
    if (error instanceof AirgapError && error.code === 'UNRESOLVABLE') return []
    throw error
  }
}

async function resolveWithApt(apt: AptSandbox, names: string[], recommends: boolean): Promise<string[]> {
  try {
    return await apt.wouldInstall(names, { recommends })
  } catch (error) {
    if (
      error instanceof Error &&
      /unmet dependencies|held broken|no installation candidate/.test(error.message)
    )
      return []
    throw error
  }
}

function without(these: string[], those: string[]): string[] {
  const others = new Set(those)
  return these.filter(one => !others.has(one)).sort()
}
