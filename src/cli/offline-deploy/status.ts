import type { Command } from 'commander'
import { AirgapError } from '../../core/errors.ts'
import { acquireProcessLock, lockHolder } from '../../core/process-lock.ts'
import { stopHolder } from '../../install/background.ts'
import { openJournal, readJournal } from '../../install/journal.ts'
import { planSteps } from '../../install/plan.ts'
import { undoSteps } from '../../install/run.ts'
import { askSite } from '../../install/steps/serve.ts'
import { readState, type SiteState } from '../../site/state.ts'
import type { Shell } from '../shell/run.ts'
import { closeBundles, findSite, localUrl, openBundles, setUp } from './context.ts'
import { bundleOptions, configureOptions, type SiteOptions, serverOptions } from './options.ts'
import { selfCommand } from './self.ts'

function siteCommand(program: Command, name: string): Command {
  return configureOptions(serverOptions(bundleOptions(program.command(name))))
}

export function statusCommand(program: Command, shell: Shell): void {
  siteCommand(program, 'status')
    .description('what is done and what runs on this site')
    .option('--exit-code', 'exit 3 if something is not as apply left it')
    .action(async (options: SiteOptions & { exitCode?: boolean }) => {
      const { state } = await existingSite(options)
      const setup = await setUp(options)
      const bundles = await openBundles(setup.config.bundles)
      try {
        const now = () => new Date()
        const context = { progress: shell.progress(), signal: shell.signal, now }
        const { installSteps } = await import('./steps.ts')
        const steps = await installSteps({
          ...{ bundles, setup, state, self: selfCommand(), now },
          ...{ purpose: 'plan', signal: shell.signal },
        })
        const entries = await readJournal(state.paths.journal, { site: state.identity })
        // the last step only asks the servers, which is done here
        const planned = await planSteps(
          steps.filter(step => step.id !== 'check'),
          { entries, context },
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
        shell.print({ site: setup.siteFolder, bundles: stack, servers, steps: planned }, () =>
          [
            ...stack.map(bundle => `bundle   ${bundle.name} ${bundle.version}  ${bundle.path}`),
            `site     ${setup.siteFolder}`,
            servers.running
              ? `servers  running (process ${servers.process}): registry ${servers.registry}, HTTP server ${servers.httpServer}`
              : 'servers  not running',
            ...planned.map(
              step =>
                `${step.state.padEnd(8)} ${step.id}${step.state === 'done' ? `, ${step.doneAt}` : `: ${step.reason}`}`,
            ),
          ].join('\n'),
        )
        const pending = planned.filter(step => step.state === 'pending')
        if (options.exitCode && pending.length > 0) {
          throw new AirgapError('DIFFERENT', `${pending.length} steps are not as apply leaves them`, {
            item: pending.map(step => step.id).join(', '),
            next: 'run apply',
          })
        }
      } finally {
        await closeBundles(bundles)
      }
    })
}

export function stopCommand(program: Command, shell: Shell): void {
  siteCommand(program, 'stop')
    .description('stop the servers of this site')
    .option('--dry-run', 'say whether they run; stop nothing')
    .action(async (options: SiteOptions & { dryRun?: boolean }) => {
      const { siteFolder, state } = await existingSite(options)
      const running = await lockHolder(state.paths.serveLock)
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
      const lock = await acquireProcessLock(state.paths.lock, setup.siteFolder)
      const bundles = await openBundles(setup.config.bundles)
      const journal = await openJournal(state.paths.journal, { site: state.identity })
      try {
        const now = () => new Date()
        const context = { progress: shell.progress(), signal: shell.signal, now }
        const { installSteps } = await import('./steps.ts')
        const steps = await installSteps({
          ...{ bundles, setup, state, self: selfCommand(), now },
          ...{ purpose: 'plan', signal: shell.signal },
        })
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
        await closeBundles(bundles)
        await lock.release()
      }
    })
}

async function existingSite(options: SiteOptions): Promise<{ siteFolder: string; state: SiteState }> {
  const { siteFolder } = await findSite(options)
  const state = await readState(siteFolder)
  if (state !== undefined) return { siteFolder, state }
  throw new AirgapError('FILE_NOT_FOUND', 'nothing was deployed here yet', {
    item: siteFolder,
    likely: 'another state folder was used: --site',
    next: 'run apply first, or give the right --site',
  })
}
