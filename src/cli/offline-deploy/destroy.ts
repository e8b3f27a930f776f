import type { Command } from 'commander'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { type ChangeOptions, runChange } from './context.ts'
import { bundleOptions, configureOptions, destructiveOptions } from './options.ts'

export function destroyCommand(program: Command, shell: Shell): void {
  addExamples(destructiveOptions(configureOptions(bundleOptions(program.command('destroy')))), [
    ['offline-deploy destroy harbor keycloak'],
    ['offline-deploy destroy --yes --confirm prod', 'all applications, without questions'],
  ])
    .description('Remove applications from the cluster, the last one first (volumes and their data stay)')
    .argument('[application...]', 'applications to remove (default: all)')
    .action(async (names: string[], options: ChangeOptions) => {
      const { destroyApplications } = await import('../../deploy/destroy.ts')
      await runChange(options, shell, {
        change: destroyApplications(names),
        twice: true,
        command: 'destroy',
        subject: names.join(' '),
      })
    })
}
