import type { Reporter, TestModule } from 'vitest/node'

/** Ends a run with each skipped test by name and one plain line of counts, for people and for CI. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 }
    const skipped: string[] = []
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        counts[state]++
        if (state === 'skipped') skipped.push(`skipped: ${module.relativeModuleId} > ${test.fullName}`)
      }
      // a file that could not even be loaded
      if (module.state() === 'failed' && module.errors().length > 0) counts.failed++
    }
    const lines = [...skipped, `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`]
    process.stdout.write(`\n${lines.join('\n')}\n`)
  }
}
