import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LockedWheels } from '../../../src/kinds/wheel/locked.ts'
import { readLock } from '../../../src/lock/lock.ts'
import { home } from '../places.ts'
import { has } from '../run.ts'
import { type Measured, measure } from './measure.ts'
import { agreementRow, timeRow } from './pairs.ts'
import type { BenchRow, BenchTable } from './rows.ts'

const requirements = join(home, 'package-lists', 'python', 'kubespray-2.24.1.txt')

/**
 * The wheels of kubespray v2.24.1's requirements, including ansible 8.5.0, from PyPI, with empty caches. Ours: `airgap lock` and `airgap build`;
 * the peer: `pip download` for the same Python and platform. And `airgap lock` alone, against `uv pip compile` with hashes.
 */
export async function benchPip(
  work: string,
  { runs, table }: { runs: number; table: BenchTable },
): Promise<BenchRow[]> {
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
  const uvCache = join(work, 'uv-cache')
  const compiled = join(work, 'uv.txt')
  const uv = [
    'uv',
    'pip',
    'compile',
    '--quiet',
    '--no-config',
    '--cache-dir',
    uvCache,
    '--generate-hashes',
    '--only-binary',
    ':all:',
    '--python-version',
    '3.11',
    '--python-platform',
    'x86_64-manylinux_2_28',
    '--output-file',
    compiled,
    requirements,
  ]
  const hasUv = has('uv')
  if (!hasUv) table.leaveOut('uv')
  const whole: Measured[] = []
  const locks: Measured[] = []
  const pips: Measured[] = []
  const uvs: Measured[] = []
  for (let i = 0; i < runs; i++) {
    for (const path of [lock, cache, bundle, folder, uvCache, compiled])
      await rm(path, { recursive: true, force: true })
    const locked = await airgap(['lock', ...common])
    if (hasUv) uvs.push(await measure(uv, { env: { SSL_CERT_FILE: systemCertificates } }))
    const built = await airgap(['build', ...common, '--frozen', '--out', bundle])
    pips.push(await measure(peer))
    locks.push(locked)
    whole.push(inTurn(locked, built))
  }
  const items = ((await readLock(lock)).items['wheel'] ?? []) as LockedWheels[]
  const files = items.flatMap(({ distributions }) => distributions.map(({ filename }) => filename))
  const what = `kubespray's requirements from PyPI, ${files.length} wheels`
  return [
    timeRow(
      { what: `${what}: lock and build`, against: 'pip download', limit: 0.7 },
      { ours: whole, peer: pips },
    ),
    ...(hasUv
      ? [timeRow({ what: 'the same: lock', against: 'uv pip compile', limit: 1 }, { ours: locks, peer: uvs })]
      : []),
    agreementRow(
      { what: 'the same, files that both selected', against: 'pip download' },
      { ours: files, peer: await readdir(folder) },
    ),
  ]
}

/** uv brings certificates of its own, and an inspecting proxy's are the system's. */
const systemCertificates = '/etc/ssl/certs/ca-certificates.crt'

/** Two programs as one that does the work of both. */
function inTurn(first: Measured, second: Measured): Measured {
  return {
    seconds: first.seconds + second.seconds,
    cpuSeconds: first.cpuSeconds + second.cpuSeconds,
    memory: Math.max(first.memory, second.memory),
    stdout: '',
  }
}
