import { AirgapError } from '../core/errors.ts'
import type { Journal, StepEvent } from './journal.ts'
import { checkOrder, reasonFor, type StepReason } from './plan.ts'
import { type Step, type StepContext, stepKey, type UndoStep } from './step.ts'

export interface StepResult {
  id: string
  result: 'done' | 'skipped'
  /** why it ran, or not */
  reason: StepReason
  /** of the step alone */
  seconds: number
}

/** Runs the pending steps in order, and stops at the first failure. The same command continues there. */
export async function runSteps(
  steps: readonly Step[],
  options: {
    journal: Journal
    context: StepContext
    /** called before each step, also one that is done already */
    before?: (step: Step) => Promise<void>
  },
): Promise<StepResult[]> {
  checkOrder(steps)
  const { journal, context } = options
  const results: StepResult[] = []
  for (const [i, step] of steps.entries()) {
    context.signal.throwIfAborted()
    await options.before?.(step)
    const started = performance.now()
    const reason = await reasonFor(step, { entries: journal.entries(), context })
    if (reason === 'done') context.progress.note(`${step.id}: already done`)
    else await runStep(step, { ...options, place: `step ${i + 1} of ${steps.length}` })
    results.push({
      id: step.id,
      result: reason === 'done' ? 'skipped' : 'done',
      reason,
      seconds: (performance.now() - started) / 1000,
    })
  }
  return results
}

async function runStep(
  step: Step,
  { journal, context, place }: { journal: Journal; context: StepContext; place: string },
): Promise<void> {
  const key = await stepKey(step)
  const record = (event: StepEvent) =>
    journal.record({ step: step.id, key, event, at: context.now().toISOString() })
  context.progress.note(`${step.id}: ${step.title} (${place})`)
  await record('started')
  try {
    await step.apply(context)
  } catch (error) {
    // the operator needs the error of the step, even if the journal cannot be written
    await record('failed').catch(() => {})
    if (error instanceof AirgapError) context.progress.note(`${step.id}: failed`)
    throw error
  }
  await record('done')
}

/** Undoes those of the steps that were done, the last one first. One that cannot be undone does not stop the others. */
export async function undoSteps(
  steps: readonly UndoStep[],
  { journal, context }: { journal: Journal; context: StepContext },
): Promise<{ id: string; result: 'undone' | 'nothing to undo' | 'failed'; error?: unknown }[]> {
  const results: Awaited<ReturnType<typeof undoSteps>> = []
  for (const step of steps.toReversed()) {
    const last = journal.last(step.id)
    if (last === undefined || last.event === 'undone') {
      results.push({ id: step.id, result: 'nothing to undo' })
      continue
    }
    try {
      await step.undo(context)
      await journal.record({ step: step.id, key: last.key, event: 'undone', at: context.now().toISOString() })
      results.push({ id: step.id, result: 'undone' })
    } catch (error) {
      results.push({ id: step.id, result: 'failed', error })
    }
  }
  return results
}
