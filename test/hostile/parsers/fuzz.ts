import { Worker } from 'node:worker_threads'
import type { FuzzReport, FuzzWork } from './fuzz-worker.ts'
import { allParsers } from './index.ts'

export interface FuzzResult {
  /** inputs by parser */
  counts: Map<string, number>
  crashes: { what: string; input: Buffer }[]
  hangs: { parser: string; input: Buffer }[]
}

/** An input that takes longer, by the clock, hangs; the machine may be busy. */
const hangMs = 30_000

/**
 * Feeds hostile inputs to the parsers, in a thread of its own, which is replaced where an input hangs. `seed` makes it repeatable; `only` names one
 * parser.
 */
export async function fuzz({
  ms,
  seed,
  only,
}: {
  ms: number
  seed: number
  only?: string | undefined
}): Promise<FuzzResult> {
  const names = (await allParsers())
    .map(({ name }) => name)
    .filter(name => only === undefined || name === only)
  const result: FuzzResult = { counts: new Map(names.map(name => [name, 0])), crashes: [], hangs: [] }
  const until = Date.now() + ms
  for (let round = 0; Date.now() < until; round++) {
    const work: FuzzWork = {
      seed: (seed + round) * 2654435761,
      only,
      state: new SharedArrayBuffer(12),
      input: new SharedArrayBuffer(200_000),
    }
    const state = new Int32Array(work.state)
    const worker = new Worker(new URL('./fuzz-worker.ts', import.meta.url), {
      workerData: work,
      resourceLimits: { maxOldGenerationSizeMb: 1_500 },
    })
    let counts: Record<string, number> = {}
    let ended = false
    worker.on('message', (report: FuzzReport) => {
      if ('counts' in report) counts = report.counts
      else if ('crash' in report)
        result.crashes.push({ what: report.crash, input: Buffer.from(report.input) })
      else result.hangs.push({ parser: report.slow, input: Buffer.from(report.input) })
    })
    worker.on('error', error => {
      result.crashes.push({ what: `the thread ended: ${error.message}`, input: current(work, state) })
    })
    worker.on('exit', () => {
      ended = true
    })
    let last = -1
    let since = Date.now()
    while (!ended && Date.now() < until) {
      await new Promise(resolve => setTimeout(resolve, 100))
      const inputs = state[1]!
      if (inputs !== last || inputs === 0) [last, since] = [inputs, Date.now()]
      if (Date.now() - since < hangMs) continue
      result.hangs.push({ parser: names[state[0]!] ?? '', input: current(work, state) })
      break
    }
    await worker.terminate()
    for (const [name, count] of Object.entries(counts))
      result.counts.set(name, (result.counts.get(name) ?? 0) + count)
  }
  return result
}

function current({ input }: FuzzWork, state: Int32Array): Buffer {
  return Buffer.from(new Uint8Array(input).slice(0, state[2]))
}
