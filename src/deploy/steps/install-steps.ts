import { AirgapError } from '../../core/errors.ts'
import type { Step } from '../../install/step.ts'
import { backup } from './backup.ts'
import { machineSteps } from './machine-steps.ts'
import { machineParts, type StepsOptions, siteParts } from './parts.ts'
import { sitePreflight } from './preflight.ts'
import { serverSteps } from './server-steps.ts'

/** The steps of an install, in order. Throws USAGE for an upgrade of a site that has no machines. */
export async function installSteps(options: StepsOptions): Promise<Step[]> {
  const parts = await siteParts(options)
  const { install, upgrade } = parts
  if (install === undefined) {
    if (upgrade !== undefined) throw nothingToUpgrade(options.state.paths.siteFile)
    return serverSteps(parts)
  }
  const machines = await machineParts(parts, install)
  return [
    sitePreflight(machines),
    ...(upgrade === undefined ? [] : [backup(machines)]),
    ...serverSteps(parts),
    ...(await machineSteps(machines)),
  ]
}

function nothingToUpgrade(siteFile: string): AirgapError {
  return new AirgapError('USAGE', 'this site has no machines to upgrade', {
    item: siteFile,
    likely: 'the site has no site.yaml, or the bundle no deployment tree with install.yaml',
    next: 'run `offline-deploy apply`, which updates the servers and the files',
  })
}
