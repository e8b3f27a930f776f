import { relative } from 'node:path'
import type { TestSpecification } from 'vitest/node'
import { BaseSequencer } from 'vitest/node'
import { home } from '../places.ts'

/**
 * Seconds of the test files that take longest, measured on two busy cores. A file that starts last and takes minutes leaves a core idle
 * to the end of the run, so these start first. Vitest itself knows durations only where it has run before.
 */
export const seconds: Readonly<Record<string, number>> = {
  'test/e2e/07-install.test.ts': 800,
  'test/e2e/08-preflight.test.ts': 190,
  'test/cli/offline-deploy/apply.test.ts': 180,
  'test/cli/offline-deploy/cluster.test.ts': 160,
  'test/scripts/kubespray-list.test.ts': 150,
  'test/kinds/git/resolve.test.ts': 150,
  'test/e2e/01-demo.test.ts': 150,
  'test/e2e/06-ansible.test.ts': 125,
  'test/e2e/05-packages.test.ts': 120,
  'test/kinds/git/serve.test.ts': 110,
  'test/e2e/09-rehearsal.test.ts': 80,
  'test/e2e/00-programs.test.ts': 60,
  'test/e2e/00-every-command.test.ts': 80,
  'test/e2e/00-release.test.ts': 47,
  'test/e2e/00-ssh-nodes.test.ts': 55,
  'test/e2e/04-push.test.ts': 50,
  'test/e2e/00-control-plane.test.ts': 45,
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
