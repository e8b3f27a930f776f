import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Growth } from './growth.ts'
import { counter, instrumented } from './instrument.ts'
import { countNatives } from './native-steps.ts'

/**
 * A program: feeds hostile inputs of three sizes to the parsers and prints those whose counted steps grow faster than the input, as JSON.
 * Arguments: one parser's name, or none for all.
 */

const steps = Object.assign(new Float64Array(1), {
  spread<T>(values: T): T {
    steps[0]! += (values as { length?: number } | undefined)?.length ?? 0
    return values
  },
})
Object.defineProperty(globalThis, counter, { value: steps })

const own = fileURLToPath(new URL('.', import.meta.url))
registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    if (!url.startsWith('file:') || fileURLToPath(url).startsWith(own) || loaded.format === 'json')
      return loaded
    if (!/^(?:module|commonjs)(?:-typescript)?$/.test(loaded.format ?? '')) return loaded
    const source = loaded.source ?? readFileSync(new URL(url))
    const text = typeof source === 'string' ? source : Buffer.from(source as Uint8Array).toString('utf8')
    return { ...loaded, source: instrumented(text, fileURLToPath(url)) }
  },
})
const { growthOf } = await import('./growth.ts')
const { allParsers } = await import('./index.ts')
const parsers = await allParsers()
countNatives(count => {
  steps[0]! += count
})
const [only] = process.argv.slice(2)
const count = { steps: () => steps[0]!, reset: () => steps.fill(0) }
for (const parser of parsers) {
  if (only !== undefined && parser.name !== only) continue
  const found: Growth = await growthOf(parser, count)
  process.stdout.write(`${JSON.stringify(found)}\n`)
}
process.exit(0)
