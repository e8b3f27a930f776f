import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { benchApt } from './apt.ts'
import { benchDnf } from './dnf.ts'
import { runBench } from './options.ts'
import { benchPip } from './pip.ts'
import type { BenchRow, BenchTable } from './rows.ts'

type PackagesBench = (work: string, options: { runs: number; table: BenchTable }) => Promise<BenchRow[]>

/**
 * `scripts/bench packages`: resolves packages, compared with each distribution's tool in the same run. Needs the network (the real archives).
 *   --runs N     pairs of measurements (3)
 *   --only NAME  apt, dnf or pip
 *   -o text|json
 */
const benches: Record<string, PackagesBench> = {
  apt: benchApt,
  dnf: benchDnf,
  pip: benchPip,
}

await runBench({}, async ({ runs, wants, table, work }) => {
  for (const [name, bench] of Object.entries(benches)) {
    if (!wants(name)) continue
    const folder = join(work, name)
    await mkdir(folder)
    for (const row of await bench(folder, { runs, table })) table.add(row)
  }
})
