import type { Command } from 'commander'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { confirm } from '../shell/confirm.ts'
import { addExamples } from '../shell/examples.ts'
import type { Shell } from '../shell/run.ts'
import { auditedRun, deployContext } from './context.ts'
import { bundleOptions, configureOptions, serverOptions } from './options.ts'

interface RollbackOptions extends SiteOptions {
  dryRun?: boolean
  yes?: boolean
}

export function rollbackCommand(program: Command, shell: Shell): void {
  addExamples(configureOptions(serverOptions(bundleOptions(program.command('rollback')))), [
    ['offline-deploy rollback --dry-run'],
    ['offline-deploy rollback --yes'],
  ])
    .description(
      'Undo what apply changed on this host: values files, client files, servers (the bundle stays)',
    )
    .option('--dry-run', 'show what would be undone; change nothing')
    .option('--yes', 'do not ask for confirmation; required without a terminal')
    .action(async ({ dryRun = false, yes = false, ...options }: RollbackOptions) => {
      const { rollBackSite } = await import('../../deploy/rollback.ts')
      const what = 'restore values files and client files, and stop the servers'
      if (!dryRun) await confirm({ what, yes }, shell.signal)
      const run = () => rollBackSite(options, deployContext(shell), { dryRun })
      const rolledBack = dryRun
        ? await run()
        : await auditedRun({ command: 'rollback', subject: '', options }, run)
      if ('undo' in rolledBack) {
        const { undo } = rolledBack
        return shell.print({ undo }, () => undo.map(id => `would undo ${id}`))
      }
      const { steps, error } = rolledBack
      shell.print({ steps }, () => steps.map(({ id, result }) => `${id.padEnd(10)} ${result}`))
      if (error !== undefined) throw error
    })
}
