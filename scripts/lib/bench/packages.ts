import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { kinds } from '../../../src/kinds/index.ts'
import { benchApt } from './apt.ts'
import { benchDnf } from './dnf.ts'
import { benchPip } from './pip.ts'
import { type BenchRow, BenchTable } from './rows.ts'

/**
 * `scripts/bench packages [--runs N] [--only apt|dnf|pip]`: resolves packages, compared with each distribution's tool in the same run.
 * Needs the network (the real archives). Exits with 1 if a goal is missed.
 */
const { values: options } = parseArgs({
  options: { runs: { type: 'string', default: '3' }, only: { type: 'string', default: '' } },
})

type Bench = (work: string, options: { runs: number }) => Promise<BenchRow[]>
const benches: Record<string, { kind: string; bench: Bench }> = {
  apt: { kind: 'deb', bench: benchApt },
  dnf: { kind: 'rpm', bench: benchDnf },
  pip: { kind: 'wheel', bench: benchPip },
}

const table = new BenchTable()
for (const [name, { kind, bench }] of Object.entries(benches)) {
  if (!name.includes(options.only) || kinds.every(one => one.name !== kind)) continue
  const work = await mkdtemp(join(process.env['AIRGAP_BENCH_TMP'] ?? tmpdir(), `airgap-bench-${name}-`))
  try {
    for (const row of await bench(work, { runs: Number(options.runs) })) table.add(row)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
process.stdout.write(`\n${table.text()}`)
process.exitCode = table.good ? 0 : 1
