import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LockedRpms } from '../../../src/kinds/rpm/locked.ts'
import { readLock } from '../../../src/lock/lock.ts'
import { home } from '../places.ts'
import { makeElRepositories } from '../upstreams/el-repository.ts'
import { serveFolder } from '../upstreams/serve-folder.ts'
import { addListedPackages, layeredPackages } from './large-el-repository.ts'
import { type Measured, measure } from './measure.ts'
import { agreementRow, timeRow } from './pairs.ts'
import { atMost, type BenchRow, formatMegabytes } from './rows.ts'

const real = 300
const listed = 12_000
/** every tenth real package is requested; together these need most of the others */
const requested = Array.from({ length: real / 10 }, (_, i) => `real${i * 10 + 9}`)

/**
 * A repository of 12,300 packages. Ours: all of `airgap lock`, with an empty cache (metadata fetched from loopback, read, resolved, and the
 * signature in the header of each selected package verified) and again with what that left in the cache. The peer: `dnf download --resolve
 * --url` with an empty cache, which verifies no package; and, for comparison, with its own.
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
  const [cold, warm, dnfs, warmDnfs]: Measured[][] = [[], [], [], []]
  let theirs: string[] = []
  for (let i = 0; i < runs; i++) {
    // dnf's cache is below the installroot
    for (const path of [lock, cache, join(work, 'dnf')]) await rm(path, { recursive: true, force: true })
    for (const name of ['root/var/lib/rpm', 'log']) await mkdir(join(work, 'dnf', name), { recursive: true })
    cold!.push(await measure(ours))
    dnfs!.push(await measure(peer, { cwd: work }))
    await rm(lock)
    warm!.push(await measure(ours))
    const { stdout, ...measured } = await measure(peer, { cwd: work })
    warmDnfs!.push({ ...measured, stdout })
    theirs = [...stdout.matchAll(/^http\S*\/(\S+)\.rpm$/gm)].map(match => match[1]!)
  }
  const what = `EL repository of ${real + listed} packages, ${requested.length} requested, ${theirs.length} found: lock`
  const again = 'the same, with a warm cache'
  const against = 'dnf'
  return [
    timeRow({ what, against, limit: 1 }, { ours: cold!, peer: dnfs! }),
    timeRow({ what: again, against, limit: 0.4 }, { ours: warm!, peer: dnfs! }),
    timeRow({ what: again, against: 'dnf, with its cache' }, { ours: warm!, peer: warmDnfs! }),
    memoryRow(Math.max(...[...cold!, ...warm!].map(one => one.memory))),
    agreementRow(
      { what: 'the same, packages that both selected', against },
      { ours: await lockedNames(lock), peer: theirs },
    ),
  ]
}

function memoryRow(memory: number): BenchRow {
  const limit = 300e6
  const cells = { ours: formatMegabytes(memory), peer: formatMegabytes(limit) }
  return { what: 'the same, peak memory', ...cells, value: memory / limit, ...atMost(1, memory / limit) }
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
