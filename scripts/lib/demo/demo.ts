import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AirgapError } from '../../../src/core/errors.ts'
import { cacheFolder } from '../places.ts'
import { buildOnConnectedHost } from './connected-host.ts'
import { type DemoContext, type DemoOptions, parseDemoOptions } from './context.ts'
import { Report } from './report.ts'
import { deployInClosedNetwork } from './site.ts'

/** `scripts/demo`: the main job from end to end. Every line of the report is the result of a real step. */

async function main(): Promise<number> {
  const stopped = new AbortController()
  const codes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
  let code: number | undefined
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // the step in progress is stopped and awaited, then everything is cleaned up; a second signal changes nothing
    process.on(signal, () => {
      code ??= codes[signal]
      stopped.abort(new AirgapError('STEP_FAILED', `stopped by ${signal}`, { next: 'run it again' }))
    })
  }
  const report = new Report(text => process.stdout.write(text))
  let failed = false
  try {
    await demo(parseDemoOptions(process.argv.slice(2)), { report, signal: stopped.signal })
  } catch (error) {
    failed = true
    tell(error)
    if (error instanceof AirgapError && error.code === 'USAGE') return error.exitCode
  }
  process.stdout.write(report.text())
  return code ?? (failed || report.failed ? 1 : 0)
}

async function demo(
  options: DemoOptions,
  { report, signal }: { report: Report; signal: AbortSignal },
): Promise<void> {
  await using resources = new AsyncDisposableStack()
  const work = await mkdtemp(join(tmpdir(), 'airgap-demo-'))
  resources.defer(async () => {
    if (options.keep) process.stdout.write(`\nkept: ${work}\n`)
    else await rm(work, { recursive: true, force: true, maxRetries: 3 })
  })
  const context: DemoContext = { options, report, work, cache: cacheFolder, resources, signal }
  const bundle = await buildOnConnectedHost(context)
  await deployInClosedNetwork(context, bundle)
}

/** Also reports suppressed errors, such as those of the clean-up after a failure. */
function tell(error: unknown): void {
  if (error instanceof SuppressedError) {
    tell(error.suppressed)
    tell(error.error)
    return
  }
  if (!(error instanceof AirgapError)) {
    process.stderr.write(`\nerror: ${error instanceof Error ? error.stack : error}\n`)
    return
  }
  const details = [
    ['item', error.item],
    ['likely', error.likely],
    ['next', error.next],
  ].filter(([, text]) => text !== undefined)
  process.stderr.write(
    `\nerror: ${error.message}\n${details.map(([name, text]) => `  ${name}: ${text}\n`).join('')}`,
  )
}

process.exitCode = await main()
