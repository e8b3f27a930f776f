import { parentPort, workerData } from 'node:worker_threads'
import { AirgapError } from '../../../src/core/errors.ts'
import { allParsers } from './index.ts'
import { hostileInput, randomNumbers } from './mutate.ts'
import type { Parser } from './parser.ts'

/** What the worker is told; `state` is shared: [number of the parser, inputs begun, bytes of the present input]. */
export interface FuzzWork {
  seed: number
  only: string | undefined
  state: SharedArrayBuffer
  /** the present input, to be kept if it hangs */
  input: SharedArrayBuffer
}

/** What it reports. */
export type FuzzReport =
  | { crash: string; parser: string; input: Buffer }
  | { slow: string; ms: number; input: Buffer }
  | { counts: Record<string, number> }

const work = workerData as FuzzWork
const random = randomNumbers(work.seed)
const state = new Int32Array(work.state)
const shown = new Uint8Array(work.input)
const parsers = (await allParsers()).filter(({ name }) => work.only === undefined || name === work.only)
const counts: Record<string, number> = Object.fromEntries(parsers.map(({ name }) => [name, 0]))
const known = new Set<string>()
/** milliseconds of processor time: others use the machine, too */
const slow = 3_000

const report = (message: FuzzReport) => parentPort!.postMessage(message)

function isExpected(error: unknown, { refusals = [] }: Parser): boolean {
  if (error instanceof AirgapError) return error.code !== 'INTERNAL'
  return (
    error instanceof Error && (refusals.includes(error.name) || refusals.includes(error.constructor.name))
  )
}

for (let count = 1; ; count++) {
  const at = random(parsers.length)
  const parser = parsers[at]!
  // the slow ones get a tenth of the turns
  if (parser.isSlow && work.only === undefined && random(10) !== 0) continue
  const input = hostileInput(parser.seeds[random(parser.seeds.length)]!, random)
  shown.set(input.subarray(0, shown.length))
  state[0] = at
  state[2] = Math.min(input.length, shown.length)
  Atomics.add(state, 1, 1)
  counts[parser.name]! += 1
  const started = process.threadCpuUsage()
  try {
    await parser.parse(input)
  } catch (error) {
    if (!isExpected(error, parser)) {
      const { name, message, stack = '' } = error instanceof Error ? error : new Error(String(error))
      const frame = stack.split('\n').find(line => line.includes('/src/')) ?? ''
      const crash = `${parser.name}: ${name}: ${message.slice(0, 100)} ${frame.trim()}`
      const key = crash.replace(/\d+/g, '0')
      if (!known.has(key)) report({ crash, parser: parser.name, input })
      known.add(key)
    }
  }
  const ms = process.threadCpuUsage(started).user / 1000
  if (ms > slow) report({ slow: parser.name, ms, input })
  if (count % 200 === 0) report({ counts: { ...counts } })
}
