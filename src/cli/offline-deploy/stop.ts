import type { Command } from 'commander'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { stopServers } from '../../deploy/stop.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { bundleOptions, configureOptions, serverOptions } from './options.ts'

export function stopCommand(program: Command, shell: Shell): void {
  addExamples(configureOptions(serverOptions(bundleOptions(program.command('stop')))), [
    ['offline-deploy stop --site /opt/site'],
  ])
    .description('Stop the servers of this site')
    .option('--dry-run', 'report whether they run; stop nothing')
    .action(async ({ dryRun = false, ...options }: SiteOptions & { dryRun?: boolean }) => {
      const stopped = await stopServers(options, { dryRun, signal: shell.signal })
      shell.print(stopped, () => [
        `servers of ${stopped.site}: ${stopped.result}${stopped.unit === null ? '' : ` (${stopped.unit})`}`,
        ...(stopped.unit === null
          ? []
          : [`  they start again with this machine, or with: systemctl start ${stopped.unit}`]),
      ])
    })
}
