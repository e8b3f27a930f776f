import { acquireProcessLock } from '../core/process-lock.ts'
import { openJournal } from '../install/journal.ts'
import { undoSteps } from '../install/run.ts'
import type { DeployContext } from './context.ts'
import { existingSite, setUp } from './set-up.ts'
import type { SiteOptions } from './site-options.ts'
import { undoableSteps } from './steps/undo-steps.ts'

export interface RolledBack {
  steps: { id: string; result: 'undone' | 'nothing to undo' | 'failed' }[]
  /** of the first step that could not be undone */
  error: unknown
}

/** Undoes what apply changed on this host: values files, client files, servers. `dryRun`: the ids of the steps that would be undone. */
export async function rollBackSite(
  options: SiteOptions,
  context: DeployContext,
  { dryRun }: { dryRun: boolean },
): Promise<RolledBack | { undo: string[] }> {
  const { state } = await existingSite(options)
  const setup = await setUp(options)
  await using _lock = await acquireProcessLock(state.paths.lock, setup.siteFolder)
  await using journal = await openJournal(state.paths.journal, { site: state.identity })
  const steps = undoableSteps(state, setup.address)
  if (dryRun) {
    const done = steps.filter(({ id }) => !['undone', undefined].includes(journal.last(id)?.event))
    return { undo: done.map(({ id }) => id) }
  }
  const results = await undoSteps(steps, { journal, context })
  return {
    steps: results.map(({ id, result }) => ({ id, result })),
    error: results.find(({ result }) => result === 'failed')?.error,
  }
}
