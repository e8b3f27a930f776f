import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ParseArgsOptionDescriptor, parseArgs } from 'node:util'
import { home } from '../places.ts'
import { BenchTable, type OutputFormat } from './rows.ts'

export const MiB = 1 << 20
export const GiB = 1 << 30

/** The connected host's program, as it is built. */
export const airgap = ['node', join(home, 'dist', 'airgap.mjs')]

/** Options that every benchmark has. */
const common = {
  runs: { type: 'string', default: '3' },
  only: { type: 'string', default: '' },
  output: { type: 'string', short: 'o', default: 'text' },
} as const satisfies Record<string, ParseArgsOptionDescriptor>

export interface Bench<Name extends string> {
  /** pairs of measurements */
  runs: number
  /** True where the part is requested: `--only` is a part of its name. */
  wants(part: string): boolean
  table: BenchTable
  /** a temporary folder, in $AIRGAP_BENCH_TMP or the system's */
  work: string
  /** what `more` declares */
  numbers: Record<Name, number>
}

/**
 * Runs a benchmark with its options from the command line, prints its table, and sets the exit code: 1 if a goal is missed. `more` are
 * the options of this benchmark, all of them numbers, with their defaults.
 */
export async function runBench<Name extends string>(
  more: Record<Name, number>,
  bench: (bench: Bench<Name>) => Promise<void>,
): Promise<void> {
  const names = Object.keys(more) as Name[]
  const { values } = parseArgs({
    options: {
      ...common,
      ...Object.fromEntries(
        names.map(name => [name, { type: 'string' as const, default: String(more[name]) }]),
      ),
    },
  })
  const given: Record<string, unknown> = values
  const table = new BenchTable()
  const work = await mkdtemp(join(process.env['AIRGAP_BENCH_TMP'] ?? tmpdir(), 'airgap-bench-'))
  try {
    await bench({
      runs: Number(values.runs),
      wants: part => part.includes(values.only),
      table,
      work,
      numbers: Object.fromEntries(names.map(name => [name, Number(given[name])])) as Record<Name, number>,
    })
  } finally {
    await rm(work, { recursive: true, force: true })
    table.print(values.output as OutputFormat)
  }
  process.exitCode = table.good ? 0 : 1
}
