import { relative } from 'node:path'
import type { TestSpecification } from 'vitest/node'
import { BaseSequencer } from 'vitest/node'
import { home } from '../places.ts'

/**
 * Seconds of the test files that take longest, measured on two cores. A file that starts last and takes minutes leaves a core idle
 * to the end of the run, so these start first. Vitest itself knows durations only where it has run before.
 */
const seconds: Readonly<Record<string, number>> = {
  'test/e2e/07-install.test.ts': 300,
  'test/e2e/06-ansible.test.ts': 200,
  'test/e2e/05-packages.test.ts': 150,
  'test/e2e/01-demo.test.ts': 100,
  'test/e2e/00-control-plane.test.ts': 100,
}

/** Starts the longest test files first. */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rest = await super.sort(files)
    return rest.toSorted((a, b) => known(b) - known(a))
  }
}

function known({ moduleId }: TestSpecification): number {
  return seconds[relative(home, moduleId)] ?? 0
}
