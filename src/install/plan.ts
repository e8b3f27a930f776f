import { defined } from '../core/defined.ts'
import type { Digest } from '../core/digest.ts'
import { AirgapError } from '../core/errors.ts'
import { type JournalEntry, lastEntry } from './journal.ts'
import { type Step, type StepContext, stepKey } from './step.ts'

export type StepReason =
  | 'done'
  | 'never run'
  | 'inputs changed'
  | 'failed'
  | 'not finished'
  | 'changed since'
  | 'runs every time'

/** What `apply` would do with one step. */
export interface PlannedStep {
  id: string
  title: string
  state: 'done' | 'pending'
  reason: StepReason
  /** what it does, one line each */
  does: string[]
  /** digest of its inputs, which the journal records */
  key: Digest
  /** when it was last done, ISO 8601 */
  doneAt?: string
}

/** Returns what each step would do, from the journal and the present state. Changes nothing. */
export async function planSteps(
  steps: readonly Step[],
  options: { entries: readonly JournalEntry[]; context: StepContext },
): Promise<PlannedStep[]> {
  checkOrder(steps)
  const plan: PlannedStep[] = []
  for (const step of steps) {
    const reason = await reasonFor(step, options)
    const last = lastEntry(options.entries, step.id)
    const planned = {
      id: step.id,
      title: step.title,
      state: reason === 'done' ? ('done' as const) : ('pending' as const),
      reason,
      does: await step.describe(options.context),
      key: await stepKey(step),
      doneAt: last?.event === 'done' ? last.at : undefined,
    }
    plan.push(defined(planned))
  }
  return plan
}

/** Returns why a step has to run, or `done`. */
export async function reasonFor(
  step: Step,
  { entries, context }: { entries: readonly JournalEntry[]; context: StepContext },
): Promise<StepReason> {
  if (step.always) return 'runs every time'
  const last = lastEntry(entries, step.id)
  if (last === undefined || last.event === 'undone') return 'never run'
  if (last.key !== (await stepKey(step))) return 'inputs changed'
  if (last.event === 'failed') return 'failed'
  if (last.event !== 'done') return 'not finished'
  return (await step.check(context)) === 'done' ? 'done' : 'changed since'
}

/** Checks that each step comes after the steps that it needs. Throws INTERNAL. */
export function checkOrder(steps: readonly Step[]): void {
  const before = new Set<string>()
  for (const step of steps) {
    const missing = step.needs.find(id => !before.has(id))
    if (missing !== undefined || before.has(step.id)) {
      throw new AirgapError('INTERNAL', 'the steps are not in order', {
        item: missing === undefined ? `${step.id} is listed twice` : `${step.id} needs ${missing} before it`,
      })
    }
    before.add(step.id)
  }
}
