import type { Command } from 'commander'
import type { InstallOptions } from '../../deploy/install-options.ts'
import { addExamples } from '../shell/examples.ts'
import { renderPlan } from '../shell/plan-text.ts'
import type { Shell } from '../shell/run.ts'
import { deployContext } from './context.ts'
import { bundleOptions, configureOptions, serverOptions, stepOptions } from './options.ts'

export function planCommand(program: Command, shell: Shell): void {
  addExamples(stepOptions(configureOptions(serverOptions(bundleOptions(program.command('plan'))))), [
    ['offline-deploy plan'],
    ['offline-deploy plan --only app --out plan.json', 'apply exactly this: offline-deploy apply plan.json'],
  ])
    .description('Show what apply would do (steps, files, commands, hosts); change nothing')
    .option('--out <file>', 'save the plan; `apply FILE` then does exactly that, or nothing')
    .action(async (options: InstallOptions & { out?: string }) => await printPlan(options, shell))
}

/** Also `--dry-run` of the commands that apply. */
export async function printPlan(options: InstallOptions & { out?: string }, shell: Shell): Promise<void> {
  const { planInstall } = await import('../../deploy/plan.ts')
  const { setup, steps } = await planInstall(options, deployContext(shell))
  shell.print({ site: setup.siteFolder, steps }, () => renderPlan(steps, setup))
}
