import { cpus, release, totalmem } from 'node:os'

/** One row of a benchmark: ours against a peer, measured in the same run. */
export interface BenchRow {
  what: string
  ours: string
  peer: string
  /** the program that is compared, where `what` does not name it */
  against?: string
  /** ours divided by the peer's, unless `what` states otherwise */
  value: number
  /** CPU seconds, of the row's work or for each GiB as `what` states: ours and the peer's */
  cpu?: readonly [ours: number, peer: number | undefined]
  /** peak memory in bytes, of all processes together: ours and the peer's */
  memory?: readonly [ours: number, peer: number | undefined]
  goal: string
  good: boolean
}

export type OutputFormat = 'text' | 'json'

/** the goal of a row that is only printed */
export const informative = { goal: '–', good: true } as const

/** A goal on `value`: met at or below the limit. */
export function atMost(limit: number, value: number): Pick<BenchRow, 'goal' | 'good'> {
  return { goal: `≤ ${limit}`, good: value <= limit }
}

export function atLeast(limit: number, value: number): Pick<BenchRow, 'goal' | 'good'> {
  return { goal: `≥ ${limit}`, good: value >= limit }
}

export const formatSeconds = (seconds: number) => `${seconds.toFixed(2)} s`
export const formatMilliseconds = (ms: number) => `${ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`
export const formatMegabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`

/** Collects rows, and reports each on stderr as soon as it is known. */
export class BenchTable {
  readonly rows: BenchRow[] = []
  readonly leftOut: string[] = []

  readonly add = (row: BenchRow): void => {
    this.rows.push(row)
    const peer = row.against === undefined ? row.peer : `${row.against} ${row.peer}`
    process.stderr.write(
      `${row.good ? 'good ' : 'MISS '} ${row.what}: ${row.ours} against ${peer}, ${row.value.toFixed(2)} (goal ${row.goal})\n`,
    )
  }

  /** Records that a peer is not compared with, and why. */
  readonly leaveOut = (peer: string, reason = 'it is not installed'): void => {
    this.leftOut.push(`${peer}: ${reason}`)
    process.stderr.write(`left out: ${peer}: ${reason}\n`)
  }

  get good(): boolean {
    return this.rows.every(row => row.good)
  }

  print(format: OutputFormat): void {
    process.stdout.write(format === 'json' ? this.json() : `\n${this.text()}`)
  }

  json(): string {
    return `${JSON.stringify({ machine: machine(), good: this.good, rows: this.rows, leftOut: this.leftOut }, undefined, 2)}\n`
  }

  text(): string {
    const head = ['what', 'ours', 'peer', '', 'ratio', 'CPU s', 'peer', 'memory', 'peer', 'goal', '']
    const cells = [head, ...this.rows.map(cellsOf)]
    const widths = head.map((_, at) => Math.max(...cells.map(row => row[at]!.length)))
    const line = (row: string[]) =>
      row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join('  ')
    const { cpu, cores, memory, kernel, node } = machine()
    return [
      `${cores} × ${cpu}, ${formatMegabytes(memory)}, Linux ${kernel}, Node ${node}`,
      ...cells.map(row => line(row).trimEnd()),
      ...this.leftOut.map(one => `left out: ${one}`),
      '',
    ].join('\n')
  }
}

function cellsOf(row: BenchRow): string[] {
  const number = (value: number | undefined) => (value === undefined ? '' : value.toFixed(2))
  const megabytes = (value: number | undefined) => (value === undefined ? '' : formatMegabytes(value))
  return [
    row.what,
    row.ours,
    row.peer,
    row.against ?? '',
    row.value.toFixed(2),
    ...[0, 1].map(at => number(row.cpu?.[at])),
    ...[0, 1].map(at => megabytes(row.memory?.[at])),
    row.goal,
    row.goal === informative.goal ? '' : row.good ? 'met' : 'MISSED',
  ]
}

function machine() {
  const all = cpus()
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memory: totalmem(),
    kernel: release(),
    node: process.versions.node,
  }
}
