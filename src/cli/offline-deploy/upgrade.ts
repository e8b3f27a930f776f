import type { Command } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { type ApplyOptions, applyOrPlan } from './apply.ts'
import { bundleOptions, configureOptions, serverOptions, stepOptions } from './options.ts'

export function upgradeCommand(program: Command, shell: Shell): void {
  addExamples(stepOptions(configureOptions(serverOptions(bundleOptions(program.command('upgrade'))))), [
    ['offline-deploy upgrade --bundle NEW.tar --dry-run', 'show the plan first'],
    [
      'offline-deploy upgrade --bundle OLD.tar --allow-older --expect DIGEST',
      'go back to an earlier version',
    ],
  ])
    .description('Back up the site, then apply another version of the bundle in the order of its rules')
    .option('--copy-bundle', 'copy the bundle to the state folder first, so that the medium can be removed')
    .option('--yes', 'do not ask for confirmation; required without a terminal')
    .option('--dry-run', 'show the plan; change nothing')
    .action(async (options: ApplyOptions) => {
      if ((options.bundle ?? []).length === 0)
        throw new AirgapError('USAGE', 'to which bundle? none was named', {
          next: 'name the new bundle with --bundle FILE',
        })
      await applyOrPlan({ ...options, upgrade: true }, shell)
    })
}
