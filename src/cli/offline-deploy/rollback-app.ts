import type { Command } from 'commander'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { type ChangeOptions, runChange } from './context.ts'
import { bundleOptions, configureOptions } from './options.ts'

export function rollBackApplicationCommand(program: Command, shell: Shell): void {
  addExamples(configureOptions(bundleOptions(program.command('rollback-app'))), [
    ['offline-deploy rollback-app harbor'],
  ])
    .description('Roll an application back to its previous revision (the rest of the site stays)')
    .argument('<application>', 'the application')
    .option('--yes', 'do not ask for confirmation; required without a terminal')
    .option('--dry-run', 'show what would be done; change nothing')
    .action(async (name: string, options: ChangeOptions) => {
      const { rollBackReleases } = await import('../../deploy/rollback-app.ts')
      await runChange(options, shell, {
        change: rollBackReleases(name),
        twice: false,
        command: 'rollback-app',
        subject: name,
      })
    })
}
