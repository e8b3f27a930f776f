import { type Command, InvalidArgumentError } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import { acquireProcessLock } from '../../core/process-lock.ts'
import { writeBundleRecord } from '../../deploy/bundle-record.ts'
import { refuseIncompatibleBundles, upgradeOrderOf } from '../../deploy/compatibility.ts'
import { type OpenBundle, openBundles } from '../../deploy/open-bundles.ts'
import { refuseAnyPort, type Setup, setUp } from '../../deploy/set-up.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { refuseOtherVersions } from '../../deploy/version-change.ts'
import { openJournal, readJournal } from '../../install/journal.ts'
import { endMarked } from '../../install/leftover.ts'
import { planSteps } from '../../install/plan.ts'
import { type PlanFile, readPlanFile, refuseChangedPlan, writePlanFile } from '../../install/plan-file.ts'
import { runSteps } from '../../install/run.ts'
import { type StepSelection, selectSteps } from '../../install/select.ts'
import type { Step, StepContext } from '../../install/step.ts'
import { httpServerOf, registryOf } from '../../site/address.ts'
import { writeSiteConfig } from '../../site/config.ts'
import { openState, pathsOf, previewState, type SiteState } from '../../site/state.ts'
import { humanTime } from '../shell/format.ts'
import type { Shell } from '../shell/run.ts'
import { openTerminal } from '../shell/terminal.ts'
import { knownCluster } from './cluster.ts'
import { deployContext } from './context.ts'
import { bundleOptions, configureOptions, serverOptions } from './options.ts'
import { renderPlan } from './plan-text.ts'

interface ApplyOptions extends SiteOptions {
  yes?: boolean
  dryRun?: boolean
  only?: string[] | undefined
  from?: string | undefined
  skip?: string[] | undefined
  limit?: string | undefined
  silence?: number
  out?: string
  allowOlder?: boolean
  upgrade?: boolean
}

export function planCommand(program: Command, shell: Shell): void {
  stepOptions(configureOptions(serverOptions(bundleOptions(program.command('plan')))))
    .description('what apply would do: steps, files, commands, hosts; nothing is changed')
    .option('--out <file>', 'keep the plan: `apply FILE` does this and nothing else')
    .action((options: ApplyOptions) => plan(options, shell))
}

export function applyCommand(program: Command, shell: Shell): void {
  stepOptions(configureOptions(serverOptions(bundleOptions(program.command('apply')))))
    .description('all steps of the install; run it again after any failure, it continues')
    .argument('[plan]', 'a plan that was kept: refused where the world has changed since')
    .option('--yes', 'do not ask')
    .option('--dry-run', 'as plan')
    .action((planned: string | undefined, options: ApplyOptions) =>
      options.dryRun ? plan(options, shell) : apply(options, shell, { planned }),
    )
}

/** The next bundle: what is there is saved first, and brought on in the order of the bundle's rules. */
export function upgradeCommand(program: Command, shell: Shell): void {
  stepOptions(configureOptions(serverOptions(bundleOptions(program.command('upgrade')))))
    .description(
      'apply with a newer bundle: its rules are asked first, then what is there is saved, then changed in their order',
    )
    .option('--yes', 'do not ask')
    .option('--dry-run', 'as plan')
    .action(async (options: ApplyOptions) => {
      if ((options.bundle ?? []).length === 0)
        throw new AirgapError('USAGE', 'to which bundle?', { next: 'name the new one: --bundle FILE' })
      return options.dryRun
        ? plan({ ...options, upgrade: true }, shell)
        : apply({ ...options, upgrade: true }, shell, { planned: undefined })
    })
}

/** Which steps, and how. */
function stepOptions(command: Command): Command {
  const list = (text: string, before: string[] = []) => [...before, ...text.split(',').filter(Boolean)]
  return command
    .option(
      '--only <steps>',
      'these steps alone (repeatable, or with commas); `app` is all applications',
      list,
    )
    .option('--from <step>', 'this step and all after it')
    .option('--skip <steps>', 'not these', list)
    .option(
      '--limit <hosts>',
      'only these machines, as ansible takes it: names with commas, a group',
      hostPattern,
    )
    .option('--allow-older', 'accept a bundle that is older than the installed one')
    .option(
      '--silence <minutes>',
      'end a program that says nothing for so long (default: 60; 0: never)',
      minutes,
    )
}

/** A pattern of ansible that names machines and groups, and cannot be an option or a file. */
function hostPattern(text: string): string {
  if (/^[a-z0-9_][a-z0-9_.-]*(?:,[!]?[a-z0-9_][a-z0-9_.-]*)*$/.test(text)) return text
  throw new InvalidArgumentError('must be names of machines or groups, with commas between them')
}

function minutes(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('must be a number of minutes')
}

/** Just one step, with what it needs assumed: after an edit of the values file, or for another machine's files. */
export function configureCommand(program: Command, shell: Shell): void {
  configureOptions(serverOptions(bundleOptions(program.command('configure'))))
    .description('set offline.registry and offline.httpServer, and write the mirror configuration')
    .option('--yes', 'do not ask')
    .option('--dry-run', 'say what would change; change nothing')
    .action((options: ApplyOptions) => {
      const only = { ...options, only: ['lay-down', 'configure'] }
      return options.dryRun ? plan(only, shell) : apply(only, shell, { planned: undefined })
    })
}

async function plan(options: ApplyOptions, shell: Shell): Promise<void> {
  const setup = await setUp(options)
  refuseAnyPort(setup.config)
  await using opened = await openBundles(setup.config.bundles, { ...setup, unknown: 'opened' })
  const { bundles } = opened
  await refuseUnfitBundles(setup, { bundles, options, shell })
  const state = await previewState(setup.siteFolder)
  await withSteps({ setup, bundles, state, shell, purpose: 'plan', options }, async (steps, context) => {
    const entries = await readJournal(state.paths.journal, { site: state.identity })
    const planned = await planSteps(selectSteps(steps, selection(options)), { entries, context })
    if (options.out !== undefined)
      await writePlanFile(options.out, { site: state.id, asked: asked(options), steps: planned })
    shell.print({ site: setup.siteFolder, steps: planned }, () => renderPlan(planned, setup))
  })
}

async function apply(
  given: ApplyOptions,
  shell: Shell,
  { planned: planPath }: { planned: string | undefined },
): Promise<void> {
  const before = planPath === undefined ? undefined : await readPlanFile(planPath)
  if (before !== undefined && Object.keys(asked(given)).length > 0)
    throw new AirgapError('USAGE', 'a kept plan says itself what it is about', {
      item: Object.keys(asked(given))
        .map(name => `--${name}`)
        .join(', '),
      next: 'leave this out, or make another plan: `offline-deploy plan --out FILE`',
    })
  const options = { ...given, ...before?.asked }
  const setup = await setUp(options)
  refuseAnyPort(setup.config)
  await using opened = await openBundles(setup.config.bundles, { ...setup, unknown: 'opened' })
  const { bundles } = opened
  await refuseUnfitBundles(setup, { bundles, options, shell })
  // before anything is made: a plan is for the state as it was
  const previewed = before && (await previewState(setup.siteFolder))
  const state = await openState(setup.siteFolder)
  const lock = await acquireProcessLock(state.paths.lock, setup.siteFolder)
  try {
    const ended = await endMarked(state.paths.running)
    if (ended > 0) shell.progress().note(`${ended} processes of a run that was killed were ended`)
    await withSteps({ setup, bundles, state, shell, purpose: 'apply', options }, async (all, context) => {
      const steps = selectSteps(all, selection(options))
      const journal = await openJournal(state.paths.journal, { site: state.identity })
      try {
        const planned = await planSteps(steps, { entries: journal.entries(), context })
        if (before !== undefined && planPath !== undefined)
          refuseChangedPlan(before, { site: previewed!.id, steps: planned, file: planPath })
        if (!shell.quiet)
          for (const line of renderPlan(planned, setup).split('\n')) context.progress.note(line)
        if (!options.yes && before === undefined) await confirm(shell.signal)
        const started = performance.now()
        const identities = bundles.map(({ identity }) => identity)
        // what the site was set up with stays as it was until the new bundle fits and the old state is saved
        let configured = false
        const results = await runSteps(steps, {
          journal,
          context,
          async before({ id }) {
            if (configured || looksOnly.includes(id)) return
            configured = true
            await writeSiteConfig(state.paths.config, setup.config)
            await writeBundleRecord(state.paths.bundles, identities)
          },
        })
        const seconds = (performance.now() - started) / 1000
        if (steps.length === all.length) await writeBundleRecord(state.paths.installed, identities)
        const registry = registryOf(setup.address)
        const httpServer = httpServerOf(setup.address)
        shell.print({ site: setup.siteFolder, registry, httpServer, steps: results, seconds }, () =>
          [
            ...results.map(
              step =>
                `${step.id.padEnd(24)} ${step.result === 'skipped' ? 'done before' : `done in ${humanTime(step.seconds)}`}`,
            ),
            steps.length === all.length
              ? `site ready: registry ${registry}, HTTP server ${httpServer} (${humanTime(seconds)})`
              : `${steps.length} of ${all.length} steps (${humanTime(seconds)}); \`offline-deploy status\` tells of the others`,
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

/** Steps that change nothing of the site. */
const looksOnly: readonly string[] = ['preflight', 'backup']

/** What a part of an install is asked for with. */
function asked({ only, from, skip, limit }: ApplyOptions): PlanFile['asked'] {
  return {
    ...(only === undefined ? {} : { only }),
    ...(from === undefined ? {} : { from }),
    ...(skip === undefined ? {} : { skip }),
    ...(limit === undefined ? {} : { limit }),
  }
}

/** An upgrade saves first, whatever part of it is asked for. */
function selection(options: ApplyOptions): StepSelection {
  const { limit: _, ...steps } = asked(options)
  return { ...steps, ...(options.upgrade ? { keep: 'backup' } : {}) }
}

/** Before anything is changed: the bundle's rules, and that it is not older than what is installed, nor newer without an upgrade. */
async function refuseUnfitBundles(
  { config, site, siteFolder }: Setup,
  { bundles, options, shell }: { bundles: readonly OpenBundle[]; options: ApplyOptions; shell: Shell },
): Promise<void> {
  const paths = pathsOf(siteFolder)
  await refuseIncompatibleBundles(bundles, {
    root: config.nodeRoot ?? '/',
    signal: shell.signal,
    cluster: await knownCluster(site, paths),
  })
  await refuseOtherVersions(bundles, {
    record: paths.installed,
    machines: site !== undefined,
    upgrade: options.upgrade ?? false,
    allowOlder: options.allowOlder ?? false,
  })
}

async function withSteps(
  work: {
    setup: Setup
    bundles: readonly OpenBundle[]
    state: SiteState
    shell: Shell
    purpose: 'plan' | 'apply'
    options: ApplyOptions
  },
  run: (steps: Step[], context: StepContext) => Promise<void>,
): Promise<void> {
  const { setup, bundles, state, shell, purpose, options } = work
  // what `serve` does not need must not slow its start
  const { installSteps } = await import('./steps.ts')
  const context = deployContext(shell)
  const steps = await installSteps({
    bundles,
    setup,
    state,
    context,
    purpose,
    limit: options.limit,
    upgrade: options.upgrade ? { order: await upgradeOrderOf(bundles) } : undefined,
    ...(options.silence === undefined ? {} : { silenceMs: options.silence * 60_000 }),
  })
  await run(steps, context)
}

/** Asks on a terminal only: a script that runs `apply` means it. */
async function confirm(signal: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return
  const terminal = openTerminal(signal)
  try {
    if (/^y(es)?$/i.test(await terminal.ask('Do this? [y/N] '))) return
  } finally {
    terminal.close()
  }
  throw new AirgapError('USAGE', 'not confirmed: nothing was changed', { next: 'answer y, or give --yes' })
}
