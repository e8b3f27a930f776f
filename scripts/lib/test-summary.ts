import { readFileSync } from 'node:fs'
import { z } from 'zod'

/** Of vitest's JSON report: which tests were left out, by name, and the counts in one plain line. 1 unless all passed. */

const reportSchema = z.object({
  success: z.boolean(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
})

const [, , path = ''] = process.argv
const report = reportSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
const tests = report.testResults.flatMap(file => file.assertionResults)
const count = (status: string) => tests.filter(test => test.status === status).length
// a file that cannot be loaded has no tests that could fail
const broken = report.testResults.filter(
  file => file.status === 'failed' && !file.assertionResults.some(test => test.status === 'failed'),
)
const failed = count('failed') + broken.length
const passed = count('passed')
const skipped = tests.filter(test => test.status !== 'passed' && test.status !== 'failed')

for (const test of skipped) process.stdout.write(`skipped: ${test.fullName}\n`)
for (const file of broken) process.stdout.write(`failed as a whole: ${file.name}\n`)
process.stdout.write(`${passed} passed, ${failed} failed, ${skipped.length} skipped\n`)
process.exitCode = report.success && failed === 0 && passed > 0 ? 0 : 1
