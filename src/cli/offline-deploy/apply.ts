import { basename } from 'node:path'
import type { Command } from 'commander'
import type { InstallOptions } from '../../deploy/install-options.ts'
import { confirm } from '../shell/confirm.ts'
import { addExamples } from '../shell/examples.ts'
import { humanBytes, humanTime } from '../shell/format.ts'
import { renderPlan } from '../shell/plan-text.ts'
import type { Shell } from '../shell/run.ts'
import { adviceLines } from '../shell/trust-text.ts'
import { auditedRun, deployContext } from './context.ts'
import { bundleOptions, configureOptions, serverOptions, stepOptions } from './options.ts'
import { printPlan } from './plan.ts'

export interface ApplyOptions extends InstallOptions {
  yes?: boolean
  dryRun?: boolean
}

export function applyCommand(program: Command, shell: Shell): void {
  addExamples(stepOptions(configureOptions(serverOptions(bundleOptions(program.command('apply'))))), [
    ['offline-deploy apply --bundle /media/usb/astrago.tar --site /opt/site'],
    ['offline-deploy apply --limit gpu-5', 'one machine, which was added or reinstalled'],
  ])
    .description('Run all steps of the install; after a failure, run it again and it continues')
    .argument('[plan]', 'a saved plan; refused if the site has changed since')
    .option('--copy-bundle', 'copy the bundle to the state folder first, so that the medium can be removed')
    .option('--yes', 'do not ask for confirmation; required without a terminal')
    .option('--dry-run', 'the same as plan')
    .action(async (planFile: string | undefined, options: ApplyOptions) => {
      await applyOrPlan(options, shell, { planFile })
    })
}

/** Applies and prints the result; with `--dry-run` only the plan. Also for `upgrade` and `configure`. */
export async function applyOrPlan(
  { yes = false, dryRun = false, ...options }: ApplyOptions,
  shell: Shell,
  { planFile }: { planFile?: string | undefined } = {},
): Promise<void> {
  if (dryRun) return await printPlan(options, shell)
  const { applyInstall } = await import('../../deploy/apply.ts')
  const context = deployContext(shell)
  const run = () =>
    applyInstall(options, context, {
      planFile,
      approveCopy: async ({ folder, bytes }) =>
        await confirm({ what: `copy ${humanBytes(bytes)} to ${folder}`, yes }, shell.signal),
      async approve({ setup, steps }, { saved }) {
        if (!shell.quiet) for (const line of renderPlan(steps, setup)) context.progress.note(line)
        const pending = steps.filter(
          ({ state, reason }) => state === 'pending' && reason !== 'runs every time',
        )
        if (saved || pending.length === 0) return
        await confirm(
          { what: `run ${pending.length} of ${steps.length} steps on this site`, yes },
          shell.signal,
        )
      },
    })
  const applied = await auditedRun(
    {
      command: options.upgrade ? 'upgrade' : 'apply',
      subject: (options.bundle ?? []).map(path => basename(path)).join(' '),
      options,
    },
    run,
  )
  const { registry, httpServer, steps, allSteps, seconds, onMedium, trust } = applied
  shell.print({ site: applied.site, registry, httpServer, steps, seconds, onMedium, trust }, () => [
    ...steps.map(
      ({ id, result, seconds }) =>
        `${id.padEnd(24)} ${result === 'skipped' ? 'already done' : `done in ${humanTime(seconds)}`}`,
    ),
    steps.length === allSteps
      ? `site ready: registry ${registry}, HTTP server ${httpServer} (${humanTime(seconds)})`
      : `${steps.length} of ${allSteps} steps (${humanTime(seconds)}); \`offline-deploy status\` shows the others`,
    ...onMedium.map(
      path =>
        `leave ${path} connected: the servers read it as long as the site runs. \`offline-deploy apply --copy-bundle\` copies it to this disk`,
    ),
    ...adviceLines(trust),
  ])
}
