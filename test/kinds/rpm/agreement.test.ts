import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { compareRandom } from '../../../scripts/lib/agreement/compare-with-dnf.ts'

const there = spawnSync('/usr/bin/python3', ['-c', 'import dnf']).status === 0

/** A sample of what `scripts/agreement-dnf` does. */
describe.skipIf(!there)(
  "closures compared with dnf's, also for files that only filelists has (fault 51) (needs dnf)",
  () => {
    it.each([
      ['alternatives, versions and files', { seed: 1, trouble: 0 }, {}],
      ['conditions, conflicts, obsoletes', { seed: 2, trouble: 0.3 }, {}],
      ['weak dependencies', { seed: 3, trouble: 0.3 }, { weak: true }],
      ['32 and 64 bits', { seed: 4, trouble: 0.3 }, { multilib: true }],
      ['modules', { seed: 5, trouble: 0.3 }, { modules: 10 }],
    ])('%s', { timeout: 60_000 }, async (_, random, more) => {
      const { compared, bothRefuse, differences } = await compareRandom({
        names: 200,
        repositories: 2,
        requests: 40,
        weak: false,
        ...random,
        ...more,
      })
      expect(differences).toEqual([])
      // a comparison of refusals alone would say nothing
      expect(bothRefuse).toBeLessThan(compared * 0.9)
    })
  },
)
