import { AirgapError } from '../../core/errors.ts'
import type { Step } from '../../install/step.ts'
import type { SiteFile } from '../../inventory/schema.ts'
import { siteSecrets } from '../../inventory/site-secrets.ts'
import { maskValues, secretValues } from '../../values/secret-values.ts'
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
  const steps = [
    sitePreflight(machines),
    ...(upgrade === undefined ? [] : [backup(machines)]),
    ...serverSteps(parts),
    ...(await machineSteps(machines)),
  ]
  return steps.map(step => withoutSecrets(step, knownSecrets(install.site)))
}

/** The plan is shown, saved and sent around: it must not have the secrets of site.yaml, whatever key they are under elsewhere. */
function withoutSecrets(step: Step, secrets: readonly string[]): Step {
  return {
    ...step,
    describe: async context => (await step.describe(context)).map(line => maskValues(line, secrets)),
  }
}

function knownSecrets(site: SiteFile): string[] {
  const { values, kubespray } = site
  const named = secretValues(JSON.stringify({ values, kubespray }))
  // the longest first: one may be part of another
  return [...siteSecrets(site).values(), ...named].sort((a, b) => b.length - a.length)
}

function nothingToUpgrade(siteFile: string): AirgapError {
  return new AirgapError('USAGE', 'this site has no machines to upgrade', {
    item: siteFile,
    likely: 'the site has no site.yaml, or the bundle no deployment tree with install.yaml',
    next: 'run `offline-deploy apply`, which updates the servers and the files',
  })
}
