import { defineConfig } from 'vitest/config'
import LongestFirst from './scripts/lib/testing/longest-first.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './scripts/lib/testing/summary-reporter.ts'],
  },
})
