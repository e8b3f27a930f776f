import type { Reporter, TestModule } from 'vitest/node'

/** Ends a run with two lines, for people and for CI: each skipped test with its reason (if there is one), and the counts. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 }
    const skipped: SkippedTest[] = []
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const result = test.result()
        counts[result.state]++
        if (result.state === 'skipped')
          skipped.push({ file: module.relativeModuleId, name: test.fullName, note: result.note })
      }
      // a file that could not even be loaded
      if (module.state() === 'failed' && module.errors().length > 0) counts.failed++
    }
    const lines = [`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`]
    if (skipped.length > 0) lines.unshift(leftOut(skipped))
    process.stdout.write(`\n${lines.join('\n')}\n`)
  }
}

export interface SkippedTest {
  file: string
  /** names of the groups and of the test, with ` > ` between them */
  name: string
  /** of `context.skip(note)` */
  note?: string | undefined
}

/**
 * One line: `skipped, needs busybox: test/a.test.ts > group > test; needs kwok: …`. The reason is the note, or what the names of
 * the test and of its groups put in parentheses as `(needs …)`, the nearest first.
 */
export function leftOut(skipped: readonly SkippedTest[]): string {
  const byReason = new Map<string, string[]>()
  for (const { file, name, note } of skipped) {
    const needs = [...name.matchAll(/\((needs [^()]*)\)/g)].map(match => match[1]!)
    const reason = note ?? needs.findLast(one => one !== 'needs nothing more') ?? 'without a reason'
    byReason.set(reason, [...(byReason.get(reason) ?? []), `${file} > ${name}`])
  }
  const groups = [...byReason].map(([reason, tests]) => `${reason}: ${tests.join(', ')}`)
  return `skipped, ${groups.join('; ')}`.replaceAll(/\s*\n\s*/g, ' ')
}
