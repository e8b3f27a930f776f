import type { Command } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import { acquireProcessLock } from '../../core/process-lock.ts'
import { openJournal, readJournal } from '../../install/journal.ts'
import { type PlannedStep, planSteps } from '../../install/plan.ts'
import { runSteps } from '../../install/run.ts'
import type { Step, StepContext } from '../../install/step.ts'
import { httpServerOf, registryOf } from '../../site/address.ts'
import { writeSiteConfig } from '../../site/config.ts'
import { openState, previewState, type SiteState } from '../../site/state.ts'
import { humanTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { refuseIncompatibleBundles } from './compat.ts'
import { closeBundles, openBundles, refuseAnyPort, type Setup, setUp } from './context.ts'
import { bundleOptions, configureOptions, type SiteOptions, serverOptions } from './options.ts'
import { selfCommand } from './self.ts'

interface ApplyOptions extends SiteOptions {
  yes?: boolean
  dryRun?: boolean
}

export function planCommand(program: Command, shell: Shell): void {
  configureOptions(serverOptions(bundleOptions(program.command('plan'))))
    .description('what apply would do: steps, files, commands, addresses; nothing is changed')
    .action((options: ApplyOptions) => plan(options, shell))
}

export function applyCommand(program: Command, shell: Shell): void {
  configureOptions(serverOptions(bundleOptions(program.command('apply'))))
    .description('verify, lay down, serve, configure, check; run it again after any failure, it continues')
    .option('--yes', 'do not ask')
    .option('--dry-run', 'as plan')
    .action((options: ApplyOptions) => (options.dryRun ? plan(options, shell) : apply(options, shell)))
}

/** Just one step, with what it needs assumed: after an edit of the values file, or for another machine's files. */
export function configureCommand(program: Command, shell: Shell): void {
  configureOptions(serverOptions(bundleOptions(program.command('configure'))))
    .description('set offline.registry and offline.httpServer, and write the mirror configuration')
    .option('--yes', 'do not ask')
    .option('--dry-run', 'say what would change; change nothing')
    .action((options: ApplyOptions) => {
      const only = (steps: Step[]) =>
        ['lay-down', 'configure'].flatMap(id => steps.filter(step => step.id === id)).map(alone)
      return options.dryRun ? plan(options, shell, only) : apply(options, shell, only)
    })
}

/** A step whose needs are the operator's business. */
function alone(step: Step): Step {
  return { ...step, needs: [] }
}

type Choose = (steps: Step[]) => Step[]

async function plan(options: ApplyOptions, shell: Shell, choose: Choose = steps => steps): Promise<void> {
  const setup = await setUp(options)
  refuseAnyPort(setup.config)
  await refuseIncompatibleBundles(setup.config.bundles, {
    root: setup.config.nodeRoot ?? '/',
    signal: shell.signal,
  })
  const state = await previewState(setup.siteFolder)
  await withSteps({ setup, state, shell }, async (steps, context) => {
    const entries = await readJournal(state.paths.journal, { site: state.identity })
    const planned = await planSteps(choose(steps), { entries, context })
    shell.print({ site: setup.siteFolder, steps: planned }, () => renderPlan(planned))
  })
}

async function apply(options: ApplyOptions, shell: Shell, choose: Choose = steps => steps): Promise<void> {
  const setup = await setUp(options)
  refuseAnyPort(setup.config)
  await refuseIncompatibleBundles(setup.config.bundles, {
    root: setup.config.nodeRoot ?? '/',
    signal: shell.signal,
  })
  const state = await openState(setup.siteFolder)
  const lock = await acquireProcessLock(state.paths.lock, setup.siteFolder)
  try {
    await withSteps({ setup, state, shell }, async (all, context) => {
      const steps = choose(all)
      const journal = await openJournal(state.paths.journal, { site: state.identity })
      try {
        const planned = await planSteps(steps, { entries: journal.entries(), context })
        if (!shell.quiet) for (const line of renderPlan(planned).split('\n')) context.progress.note(line)
        if (!options.yes) await confirm(shell.signal)
        await writeSiteConfig(state.paths.config, setup.config)
        const started = performance.now()
        const results = await runSteps(steps, { journal, context })
        const seconds = (performance.now() - started) / 1000
        const registry = registryOf(setup.address)
        const httpServer = httpServerOf(setup.address)
        shell.print({ site: setup.siteFolder, registry, httpServer, steps: results, seconds }, () =>
          [
            ...results.map(
              step =>
                `${step.id.padEnd(10)} ${step.result === 'skipped' ? 'done before' : `done in ${humanTime(step.seconds)}`}`,
            ),
            `site ready: registry ${registry}, HTTP server ${httpServer} (${humanTime(seconds)})`,
          ].join('\n'),
        )
      } finally {
        await journal.close()
      }
    })
  } finally {
    await lock.release()
  }
}

async function withSteps(
  work: { setup: Setup; state: SiteState; shell: Shell },
  run: (steps: Step[], context: StepContext) => Promise<void>,
): Promise<void> {
  const { setup, state, shell } = work
  const now = () => new Date()
  // what `serve` does not need must not slow its start
  const { installSteps } = await import('./steps.ts')
  const bundles = await openBundles(setup.config.bundles)
  try {
    const steps = await installSteps({ bundles, setup, state, self: selfCommand(), now })
    await run(steps, { progress: shell.progress(), signal: shell.signal, now })
  } finally {
    await closeBundles(bundles)
  }
}

/** Asks on a terminal only: a script that runs `apply` means it. */
async function confirm(signal: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question('Do this? [y/N] ', { signal })
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    terminal.close()
  }
  throw new AirgapError('USAGE', 'not confirmed: nothing was changed', { next: 'answer y, or give --yes' })
}

export function renderPlan(steps: readonly PlannedStep[]): string {
  return steps
    .flatMap(step => [
      `${step.state === 'done' ? 'done   ' : 'pending'} ${step.id}: ${step.title}${step.state === 'done' ? '' : ` (${step.reason})`}`,
      ...(step.state === 'done' ? [] : step.does.map(line => `          ${line}`)),
    ])
    .join('\n')
}
