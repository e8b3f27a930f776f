import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LockedRpms } from '../../../src/kinds/rpm/locked.ts'
import { readLock } from '../../../src/lock/lock.ts'
import { home } from '../places.ts'
import { makeElRepositories } from '../upstreams/el-repository.ts'
import { serveFolder } from '../upstreams/serve-folder.ts'
import { addListedPackages, layeredPackages } from './large-el-repository.ts'
import { measure, median } from './measure.ts'
import { type BenchRow, formatMegabytes, formatSeconds } from './rows.ts'

const real = 300
const listed = 12_000
/** every tenth real package is requested; together these need most of the others */
const requested = Array.from({ length: real / 10 }, (_, i) => `real${i * 10 + 9}`)

/**
 * A repository of 12,300 packages. Ours: all of `airgap lock` with an empty cache: metadata and signatures fetched from loopback,
 * parsed, resolved, and the header of each selected package verified. The peer: `dnf download --resolve --url` with an empty cache,
 * which verifies no package.
 */
export async function benchDnf(work: string, { runs }: { runs: number }): Promise<BenchRow[]> {
  await using resources = new AsyncDisposableStack()
  const folder = join(work, 'upstream')
  const { key } = await makeElRepositories(folder, [{ id: 'el', packages: layeredPackages(real) }], {
    beforeSigning: place => addListedPackages(place, listed),
  })
  const server = await serveFolder(folder)
  resources.defer(() => server.close())
  const baseurl = `${server.url}/el`
  const manifest = join(work, 'bench-dnf.yaml')
  const rpms = [{ name: 'el9', repositories: [{ id: 'el', baseurl, keys: [key] }], packages: requested }]
  await writeFile(
    manifest,
    JSON.stringify({ apiVersion: 'airgap/v1', name: 'bench', version: '1.0.0', rpms }),
  )
  const lock = join(work, 'bench-dnf.lock.json')
  const cache = join(work, 'bench-dnf-cache')
  const config = join(work, 'dnf.conf')
  await writeFile(config, dnfConfig(work, { baseurl, key }))
  const ours = [
    'node',
    join(home, 'dist', 'airgap.mjs'),
    'lock',
    '-f',
    manifest,
    '--lock',
    lock,
    '--cache',
    cache,
  ]
  const peer = [
    'dnf',
    '-c',
    config,
    `--installroot=${join(work, 'dnf', 'root')}`,
    '--releasever=9',
    '-y',
    '-q',
    '--forcearch=x86_64',
    'download',
    '--resolve',
    '--url',
    ...requested,
  ]
  const pairs: { ours: number; peer: number; ratio: number; memory: number }[] = []
  let theirs: string[] = []
  for (let i = 0; i < runs; i++) {
    // dnf's cache is below the installroot
    for (const path of [lock, cache, join(work, 'dnf')]) await rm(path, { recursive: true, force: true })
    for (const name of ['root/var/lib/rpm', 'log']) await mkdir(join(work, 'dnf', name), { recursive: true })
    const a = await measure(ours)
    const b = await measure(peer, { cwd: work })
    theirs = [...b.stdout.matchAll(/^http\S*\/(\S+)\.rpm$/gm)].map(match => match[1]!)
    pairs.push({ ours: a.seconds, peer: b.seconds, ratio: a.seconds / b.seconds, memory: a.memory })
  }
  const memory = Math.max(...pairs.map(pair => pair.memory))
  const ratio = median(pairs.map(pair => pair.ratio))
  const chosen = await lockedNames(lock)
  const same = theirs.filter(name => chosen.has(name)).length
  return [
    {
      what: `EL repository of ${real + listed} packages, ${requested.length} requested, ${theirs.length} found: lock against dnf`,
      ours: formatSeconds(median(pairs.map(pair => pair.ours))),
      peer: formatSeconds(median(pairs.map(pair => pair.peer))),
      value: ratio,
      goal: '≤ 1.0',
      good: ratio <= 1,
    },
    {
      what: 'the same, peak memory',
      ours: formatMegabytes(memory),
      peer: '500 MB',
      value: memory / 500e6,
      goal: '≤ 1',
      good: memory < 500e6,
    },
    {
      what: 'the same, packages that both selected',
      ours: String(chosen.size),
      peer: String(theirs.length),
      value: same / Math.max(theirs.length, chosen.size),
      goal: '1',
      good: same === theirs.length && same === chosen.size,
    },
  ]
}

function dnfConfig(work: string, { baseurl, key }: { baseurl: string; key: string }): string {
  return [
    '[main]',
    'gpgcheck=1',
    'repo_gpgcheck=1',
    'module_platform_id=platform:el9',
    'reposdir=/dev/null',
    `cachedir=${work}/dnf/cache`,
    `logdir=${work}/dnf/log`,
    '[el]',
    'name=el',
    `baseurl=${baseurl}`,
    `gpgkey=file://${key}`,
    '',
  ].join('\n')
}

async function lockedNames(path: string): Promise<Set<string>> {
  const lock = await readLock(path)
  const items = (lock.items['rpm'] ?? []) as LockedRpms[]
  return new Set(
    items.flatMap(({ packages }) =>
      packages.map(rpm => `${rpm.name}-${rpm.version}-${rpm.release}.${rpm.architecture}`),
    ),
  )
}
