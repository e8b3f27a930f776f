import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { missingPrograms, run } from '../../scripts/lib/run.ts'
import { hasDockerRegistry } from '../../scripts/lib/upstreams/docker-registry.ts'

const lacking = [
  ...missingPrograms(['helm', 'helmfile']),
  ...(hasDockerRegistry ? [] : ['docker-registry', 'skopeo']),
]

/** The whole stack from a local upstream, with stand-ins for the published charts: scripts/rehearsal. */
describe.skipIf(lacking.length > 0)(`the rehearsal (needs ${lacking.join(', ') || 'nothing more'})`, () => {
  it('finds every image of the rendered releases in the lists, and in the served bundle', {
    timeout: 300_000,
  }, async () => {
    const output = await run([resolve(import.meta.dirname, '../../scripts/rehearsal')])
    expect(output).toMatch(/ images are used; 0 findings$/m)
    const [, served, used] = /(\d+) of (\d+) references of the rendered releases/.exec(output) ?? []
    expect(Number(used)).toBeGreaterThan(50)
    expect(served).toBe(used)
  })
})
