import { limitedNodes } from '../../install/preflight/limit.ts'
import type { Step } from '../../install/step.ts'
import { preflightStep } from '../../install/steps/preflight.ts'
import { examine } from '../preflight.ts'
import type { MachineParts } from './parts.ts'

/** The first step of an install on machines. */
export function sitePreflight(parts: MachineParts): Step {
  const { install, setup, state, bundles, passwords, limit, context } = parts
  const { site } = install
  return preflightStep({
    machines: limitedNodes(site.nodes, limit).map(({ name }) => name),
    look: async signal => {
      const examined = { site, config: setup.config, state, bundles, install, passwords, limit }
      return (await examine(examined, { signal, now: context.now })).findings
    },
  })
}
