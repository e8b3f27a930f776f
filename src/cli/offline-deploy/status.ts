import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import { acquireProcessLock, lockHolder } from '../../core/process-lock.ts'
import { openBundles } from '../../deploy/open-bundles.ts'
import { existingSite, localUrl, setUp } from '../../deploy/set-up.ts'
import type { SiteOptions } from '../../deploy/site-options.ts'
import { stopHolder } from '../../install/background.ts'
import { openJournal, readJournal } from '../../install/journal.ts'
import { type PlannedStep, planSteps } from '../../install/plan.ts'
import { undoSteps } from '../../install/run.ts'
import type { Step } from '../../install/step.ts'
import { askSite } from '../../install/steps/serve.ts'
import type { Shell } from '../shell/run.ts'
import { clusterLines, clusterStatus, knownCluster } from './cluster.ts'
import { deployContext } from './context.ts'
import { bundleOptions, configureOptions, serverOptions } from './options.ts'

function siteCommand(program: Command, name: string): Command {
  return configureOptions(serverOptions(bundleOptions(program.command(name))))
}

export function statusCommand(program: Command, shell: Shell): void {
  siteCommand(program, 'status')
    .description('what is done and what runs on this site, and in its cluster')
    .option('--exit-code', 'exit 3 if something is not as apply left it')
    .action(async (options: SiteOptions & { exitCode?: boolean }) => {
      const status = await siteStatus(options, shell)
      const { site, bundles, servers, steps, cluster } = status
      shell.print(status, () =>
        [
          ...bundles.map(bundle => `bundle   ${bundle.name} ${bundle.version}  ${bundle.path}`),
          `site     ${site}`,
          servers.running
            ? `servers  running (process ${servers.process}): registry ${servers.registry}, HTTP server ${servers.httpServer}`
            : 'servers  not running',
          ...steps.map(
            step =>
              `${step.state.padEnd(8)} ${step.id}${step.state === 'done' ? `, ${step.doneAt}` : `: ${step.reason}${step.log === undefined ? '' : `, see ${step.log}`}`}`,
          ),
          ...clusterLines(cluster),
        ].join('\n'),
      )
      const pending = steps.filter(step => step.state === 'pending')
      if (options.exitCode && pending.length > 0) {
        throw new AirgapError('DIFFERENT', `${pending.length} steps are not as apply leaves them`, {
          item: pending.map(step => step.id).join(', '),
          next: 'run apply',
        })
      }
    })
}

/** What is done and what runs; changes nothing. */
export async function siteStatus(options: SiteOptions, shell: Shell) {
  const { state } = await existingSite(options)
  const setup = await setUp(options)
  await using opened = await openBundles(setup.config.bundles, { ...setup, unknown: 'refused' })
  const { bundles } = opened
  {
    const context = deployContext(shell)
    const { installSteps } = await import('./steps.ts')
    const all = await installSteps({ bundles, setup, state, context, purpose: 'plan' })
    const entries = await readJournal(state.paths.journal, { site: state.identity })
    const known = await knownCluster(setup.site, state.paths)
    const cluster = known === undefined ? null : await clusterStatus(known, shell.signal)
    // those that run every time only ask, which is done here
    const looked = all.filter(step => !step.always)
    const planned = await planSteps(cluster?.answers ? looked : looked.map(unasked), { entries, context })
    const steps = await Promise.all(
      planned.map(async step => ({ ...step, ...(await logOf(step, state.paths.logs)) })),
    )
    const pid = await lockHolder(state.paths.serveLock)
    const answers = await askSite(localUrl(setup.config), shell.signal)
    const servers = {
      running: pid !== undefined && answers?.site === state.id,
      process: pid ?? null,
      registry: answers?.registry ?? null,
      httpServer: answers?.httpServer ?? null,
    }
    const stack = bundles.map(({ path, store }) => ({ path, ...store.info, digest: store.indexDigest }))
    return {
      site: setup.siteFolder,
      bundles: stack,
      servers,
      steps,
      cluster,
    }
  }
}

/** What a step that did not come to its end has said, if it says anything. */
async function logOf({ id, reason }: PlannedStep, folder: string): Promise<{ log?: string }> {
  if (reason !== 'failed' && reason !== 'not finished') return {}
  const log = join(folder, `${id}.log`)
  return (await stat(log).catch(() => undefined)) === undefined ? {} : { log }
}

/** A cluster that does not answer would be waited for by every step that asks it. */
function unasked(step: Step): Step {
  const asks = step.id === 'kubernetes' || step.id.startsWith('app-')
  return asks ? { ...step, check: async () => 'pending' } : step
}

export function stopCommand(program: Command, shell: Shell): void {
  siteCommand(program, 'stop')
    .description('stop the servers of this site')
    .option('--dry-run', 'say whether they run; stop nothing')
    .action(async (options: SiteOptions & { dryRun?: boolean }) => {
      const { siteFolder, state } = await existingSite(options)
      const running = await lockHolder(state.paths.serveLock)
      const holder = await lockHolder(state.paths.lock)
      if (holder !== undefined && !options.dryRun)
        throw new AirgapError(
          'BUSY',
          'the site is being changed: machines may be fetching from its servers',
          {
            item: `process ${holder}`,
            likely: 'an `apply` runs in another terminal',
            next: 'let it end, or stop it there with Ctrl-C',
          },
        )
      const result =
        options.dryRun || running === undefined
          ? running === undefined
            ? 'not running'
            : 'running'
          : await stopHolder(state.paths.serveLock, { signal: shell.signal })
      shell.print(
        { site: siteFolder, result, process: running ?? null },
        () => `servers of ${siteFolder}: ${result}`,
      )
    })
}

export function rollbackCommand(program: Command, shell: Shell): void {
  siteCommand(program, 'rollback')
    .description('take back what apply changed: values files, client files, the servers; the bundle stays')
    .option('--dry-run', 'say what would be taken back; change nothing')
    .option('--yes', 'needed where nobody can be asked')
    .action(async (options: SiteOptions & { dryRun?: boolean; yes?: boolean }) => {
      const { state } = await existingSite(options)
      const setup = await setUp(options)
      if (!options.dryRun && !options.yes) {
        throw new AirgapError('USAGE', 'rollback changes files and stops the servers', {
          next: 'look with --dry-run, then give --yes',
        })
      }
      await using opened = await openBundles(setup.config.bundles, { ...setup, unknown: 'refused' })
      const { bundles } = opened
      const lock = await acquireProcessLock(state.paths.lock, setup.siteFolder)
      const journal = await openJournal(state.paths.journal, { site: state.identity })
      try {
        const context = deployContext(shell)
        const { installSteps } = await import('./steps.ts')
        const steps = await installSteps({ bundles, setup, state, context, purpose: 'plan' })
        if (options.dryRun) {
          const would = steps.filter(
            step => step.undo && !['undone', undefined].includes(journal.last(step.id)?.event),
          )
          shell.print({ undo: would.map(step => step.id) }, () =>
            would.map(step => `would undo ${step.id}`).join('\n'),
          )
          return
        }
        const results = await undoSteps(steps, { journal, context })
        const failed = results.find(step => step.result === 'failed')
        shell.print({ steps: results.map(({ id, result }) => ({ id, result })) }, () =>
          results.map(step => `${step.id.padEnd(10)} ${step.result}`).join('\n'),
        )
        if (failed !== undefined) throw failed.error
      } finally {
        await journal.close()
        await lock.release()
      }
    })
}
