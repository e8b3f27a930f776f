/** What the demo did: told while it happens, and as a table at the end. */
export class Report {
  readonly #rows: { what: string; seconds?: number; result?: string; good: boolean }[] = []
  readonly #leftOut: string[] = []
  failed = false

  /** Runs one step, tells how it went and how long it took; `show` makes what is printed under it. */
  async step<T>(what: string, action: () => Promise<T>, show?: (result: T) => string): Promise<T> {
    process.stdout.write(`\n▸ ${what}\n`)
    const started = performance.now()
    try {
      const result = await action()
      const seconds = (performance.now() - started) / 1000
      const text = show?.(result)?.trim() ?? ''
      if (text) process.stdout.write(`${text.replace(/^/gm, '    ')}\n`)
      process.stdout.write(`    ${seconds.toFixed(1)} s\n`)
      this.#rows.push({ what, seconds, good: true })
      return result
    } catch (error) {
      this.#rows.push({ what, seconds: (performance.now() - started) / 1000, good: false })
      this.failed = true
      process.stdout.write(`    FAILED: ${error instanceof Error ? error.message : error}\n`)
      throw error
    }
  }

  fact(what: string, result: string, good: boolean): void {
    this.#rows.push({ what, result, good })
    if (!good) this.failed = true
  }

  size(what: string, bytes: number): void {
    this.fact(what, `${(bytes / 2 ** 20).toFixed(1)} MiB`, true)
  }

  leftOut(what: string, why: string): void {
    this.#leftOut.push(`${what}: ${why}`)
    process.stdout.write(`\n▸ left out: ${what} (${why})\n`)
  }

  text(): string {
    const width = Math.max(...this.#rows.map(row => row.what.length))
    const rows = this.#rows.map(row => {
      const result = row.result ?? `${row.seconds?.toFixed(1)} s`
      return `${row.good ? 'shown ' : 'FAILED'}  ${row.what.padEnd(width)}  ${result.padStart(10)}`
    })
    const left = this.#leftOut.map(line => `left out  ${line}`)
    return `\n${'─'.repeat(width + 20)}\n${[...rows, ...left].join('\n')}\n`
  }
}
