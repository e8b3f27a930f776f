import type { Command } from 'commander'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { type ApplyOptions, applyOrPlan } from './apply.ts'
import { bundleOptions, configureOptions, serverOptions } from './options.ts'

/** Two steps alone, what they need being assumed: after an edit of a values file, or for the files of another machine. */
export function configureCommand(program: Command, shell: Shell): void {
  addExamples(configureOptions(serverOptions(bundleOptions(program.command('configure')))), [
    ['offline-deploy configure --env prod --dry-run'],
    ['offline-deploy configure --node-root none', 'values files only, no files of this machine'],
  ])
    .description('Set offline.registry and offline.httpServer in values files, and write client files')
    .option('--yes', 'do not ask for confirmation; required without a terminal')
    .option('--dry-run', 'show what would change; change nothing')
    .action(async (options: ApplyOptions) => {
      await applyOrPlan({ ...options, only: ['lay-down', 'configure'] }, shell)
    })
}
