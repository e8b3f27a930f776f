/** What the report shows of a step, besides its duration. */
export interface Shown {
  /** lines under the step */
  text?: string
  /** bytes that it moved or wrote */
  bytes?: number
}

interface Row {
  what: string
  result: 'shown' | 'FAILED'
  seconds?: number
  bytes?: number | undefined
  value?: string
}

/** Reports the demo's steps as they happen, and in a table at the end. */
export class Report {
  readonly #rows: Row[] = []
  readonly #leftOut: string[] = []
  readonly #write: (text: string) => void

  constructor(write: (text: string) => void) {
    this.#write = write
  }

  get failed(): boolean {
    return this.#rows.some(row => row.result === 'FAILED')
  }

  /** Runs one step, and reports its result and duration. Reports and rethrows what the step throws. */
  async step<T>(what: string, action: () => Promise<T>, show: (result: T) => Shown = () => ({})): Promise<T> {
    this.#write(`\n▸ ${what}\n`)
    const started = performance.now()
    const seconds = () => (performance.now() - started) / 1000
    try {
      const result = await action()
      const row: Row = { what, result: 'shown', seconds: seconds() }
      const { text = '', bytes } = show(result)
      if (text.trim()) this.#write(`${indented(text)}\n`)
      this.#rows.push({ ...row, bytes })
      this.#write(`    ${[formatSeconds(row.seconds), formatBytes(bytes)].filter(Boolean).join(', ')}\n`)
      return result
    } catch (error) {
      this.#rows.push({ what, result: 'FAILED', seconds: seconds() })
      throw error
    }
  }

  fact(what: string, value: string, good: boolean): void {
    this.#rows.push({ what, result: good ? 'shown' : 'FAILED', value })
  }

  leftOut(what: string, why: string): void {
    this.#leftOut.push(`${what}: ${why}`)
    this.#write(`\n▸ left out: ${what}: ${why}\n`)
  }

  /** Prints the table. */
  text(): string {
    const width = Math.max(0, ...this.#rows.map(row => row.what.length))
    const rows = this.#rows.map(row => {
      const time = row.value ?? formatSeconds(row.seconds)
      const line = `${row.result.padEnd(6)}  ${row.what.padEnd(width)}  ${time.padStart(8)}  ${formatBytes(row.bytes).padStart(10)}`
      return line.trimEnd()
    })
    const left = this.#leftOut.map(line => `left out  ${line}`)
    return `\n${'─'.repeat(width + 28)}\n${[...rows, ...left].join('\n')}\n`
  }
}

function indented(text: string): string {
  return text.trimEnd().replace(/^/gm, '    ')
}

function formatSeconds(seconds: number | undefined): string {
  return seconds === undefined ? '' : `${seconds.toFixed(1)} s`
}

function formatBytes(bytes: number | undefined): string {
  if (bytes === undefined) return ''
  return bytes < 2 ** 20 ? `${(bytes / 2 ** 10).toFixed(1)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
