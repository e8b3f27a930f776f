import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LockedWheels } from '../../../src/kinds/wheel/locked.ts'
import { readLock } from '../../../src/lock/lock.ts'
import { home } from '../places.ts'
import { measure, median } from './measure.ts'
import { type BenchRow, formatMegabytes, formatSeconds } from './rows.ts'

const requirements = join(home, 'package-lists', 'python', 'kubespray-2.24.1.txt')

/**
 * The wheels of kubespray v2.24.1's requirements, including ansible 8.5.0, from PyPI. Ours: `airgap lock` and `airgap build` with
 * an empty cache. The peer: `pip download` for the same Python and platform, without its cache.
 */
export async function benchPip(work: string, { runs }: { runs: number }): Promise<BenchRow[]> {
  const manifest = join(work, 'bench-pip.yaml')
  const wheels = [
    { name: 'x', pythons: ['3.11'], platforms: ['manylinux_2_28_x86_64'], requirements: [requirements] },
  ]
  await writeFile(
    manifest,
    JSON.stringify({ apiVersion: 'airgap/v1', name: 'bench', version: '1.0.0', wheels }),
  )
  const lock = join(work, 'bench-pip.lock.json')
  const cache = join(work, 'bench-pip-cache')
  const bundle = join(work, 'bench-pip.tar')
  const common = ['-f', manifest, '--lock', lock, '--cache', cache]
  const airgap = (args: string[]) => measure(['node', join(home, 'dist', 'airgap.mjs'), ...args])
  const target = ['2_28', '2_27', '2_26', '2_25', '2_24', '2_17', '2_12', '2_5']
    .map(glibc => `manylinux_${glibc}_x86_64`)
    .concat('manylinux2014_x86_64', 'manylinux2010_x86_64', 'manylinux1_x86_64')
    .flatMap(tag => ['--platform', tag])
  const folder = join(work, 'pip')
  const peer = [
    // ignores this machine's pip settings, such as an index or a folder of wheels
    'python3',
    '-m',
    'pip',
    '--isolated',
    '--no-cache-dir',
    '--disable-pip-version-check',
    'download',
    '--quiet',
    '--only-binary=:all:',
    '--python-version',
    '3.11',
    '--implementation',
    'cp',
    ...target,
    '--dest',
    folder,
    '-r',
    requirements,
  ]
  const pairs: { ours: number; peer: number; ratio: number; memory: number }[] = []
  for (let i = 0; i < runs; i++) {
    for (const path of [lock, cache, bundle, folder]) await rm(path, { recursive: true, force: true })
    const locked = await airgap(['lock', ...common])
    const built = await airgap(['build', ...common, '--frozen', '--out', bundle])
    const b = await measure(peer)
    const seconds = locked.seconds + built.seconds
    const memory = Math.max(locked.memory, built.memory)
    pairs.push({ ours: seconds, peer: b.seconds, ratio: seconds / b.seconds, memory })
  }
  const items = ((await readLock(lock)).items['wheel'] ?? []) as LockedWheels[]
  const chosen = items.flatMap(({ distributions }) => distributions.map(({ filename }) => filename)).sort()
  const theirs = (await readdir(folder)).sort()
  const same = theirs.filter(name => chosen.includes(name)).length
  const ratio = median(pairs.map(pair => pair.ratio))
  const memory = Math.max(...pairs.map(pair => pair.memory))
  return [
    {
      what: `kubespray's requirements from PyPI, ${theirs.length} wheels: lock and build against pip download`,
      ours: formatSeconds(median(pairs.map(pair => pair.ours))),
      peer: formatSeconds(median(pairs.map(pair => pair.peer))),
      value: ratio,
      goal: '≤ 0.7',
      good: ratio <= 0.7,
    },
    {
      what: 'the same, peak memory',
      ours: formatMegabytes(memory),
      peer: '(for information)',
      value: memory / 200e6,
      goal: '(for information)',
      good: true,
    },
    {
      what: 'the same, files that both selected',
      ours: String(chosen.length),
      peer: String(theirs.length),
      value: same / Math.max(theirs.length, chosen.length),
      goal: '1',
      good: same === theirs.length && same === chosen.length,
    },
  ]
}
