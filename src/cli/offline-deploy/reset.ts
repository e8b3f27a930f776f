import type { Command } from 'commander'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { type ChangeOptions, runChange } from './context.ts'
import { bundleOptions, configureOptions, destructiveOptions } from './options.ts'

export function resetCommand(program: Command, shell: Shell): void {
  addExamples(destructiveOptions(configureOptions(bundleOptions(program.command('reset')))), [
    ['offline-deploy reset gpu-5', 'remove one machine from the cluster'],
    ['offline-deploy reset --dry-run'],
  ])
    .description('Remove Kubernetes and all workloads from the machines')
    .argument('[machine...]', 'machines to remove from the cluster (default: the whole cluster)')
    .action(async (names: string[], options: ChangeOptions) => {
      const { resetMachines } = await import('../../deploy/reset.ts')
      await runChange(options, shell, {
        change: resetMachines(names),
        twice: true,
        command: 'reset',
        subject: names.join(' '),
      })
    })
}
