/** One row of a benchmark: ours against a peer, measured in the same run. */
export interface BenchRow {
  what: string
  ours: string
  peer: string
  /** ours divided by the peer's, unless `what` states otherwise */
  value: number
  goal: string
  good: boolean
}

export const formatSeconds = (seconds: number) => `${seconds.toFixed(2)} s`
export const formatMegabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`

/** Collects rows, and reports each as soon as it is known. */
export class BenchTable {
  readonly rows: BenchRow[] = []

  readonly add = (row: BenchRow): void => {
    this.rows.push(row)
    process.stderr.write(
      `${row.good ? 'good ' : 'MISS '} ${row.what}: ${row.ours} against ${row.peer} (goal ${row.goal})\n`,
    )
  }

  get good(): boolean {
    return this.rows.every(row => row.good)
  }

  text(): string {
    const width = Math.max(4, ...this.rows.map(row => row.what.length))
    const line = (cells: [string, string, string, string, string]) =>
      `${cells[0].padEnd(width)}  ${cells[1].padStart(10)}  ${cells[2].padStart(10)}  ${cells[3].padStart(6)}  ${cells[4]}`
    return [
      line(['what', 'ours', 'peer', 'ratio', 'goal']),
      ...this.rows.map(row =>
        line([
          row.what,
          row.ours,
          row.peer,
          row.value.toFixed(2),
          `${row.goal}${row.good ? '' : '  MISSED'}`,
        ]),
      ),
      '',
    ].join('\n')
  }
}
