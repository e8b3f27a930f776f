import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import type { PlannedStep } from './plan.ts'

/** A saved plan: somebody has reviewed it, and `apply PLAN` runs it only as long as a new plan would be the same. */
const planSchema = z.strictObject({
  planVersion: z.literal(1),
  /** the state folder's random id */
  site: z.string(),
  /** which part of the install it is for; default: all of it */
  asked: z
    .strictObject({
      only: z.array(z.string()),
      from: z.string(),
      skip: z.array(z.string()),
      /** an ansible pattern of machines */
      limit: z.string(),
    })
    .partial(),
  steps: z.array(
    z.strictObject({
      id: z.string(),
      title: z.string(),
      state: z.enum(['done', 'pending']),
      reason: z.string(),
      does: z.array(z.string()),
      key: z.string(),
      doneAt: z.string().optional(),
    }),
  ),
})
export type PlanFile = z.infer<typeof planSchema>

export async function writePlanFile(
  path: string,
  plan: Pick<PlanFile, 'site' | 'asked'> & { steps: readonly PlannedStep[] },
): Promise<void> {
  await writeAtomically(path, `${canonicalJson({ planVersion: 1, ...plan }, 2)}\n`, 0o600)
}

/** Reads a saved plan. Throws PLAN_CHANGED if the file is not one. */
export async function readPlanFile(path: string): Promise<PlanFile> {
  try {
    return planSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof z.ZodError)) throw fromSystemError(error, path)
    throw new AirgapError('PLAN_CHANGED', 'the file is not a saved plan', {
      item: path,
      likely: 'it is another file, or another version wrote it',
      next: 'save a plan with `offline-deploy plan --out FILE`',
      cause: error,
    })
  }
}

/** Throws PLAN_CHANGED, with the differences, if a new plan is not the same as the saved one. */
export function refuseChangedPlan(
  planned: PlanFile,
  now: { site: string; steps: readonly PlannedStep[]; file: string },
): void {
  const differences: string[] = []
  if (planned.site !== now.site) differences.push('the plan is for another site')
  const steps = new Map(now.steps.map(step => [step.id, step]))
  for (const before of planned.steps) {
    const after = steps.get(before.id)
    steps.delete(before.id)
    if (after === undefined) differences.push(`${before.id}: this step no longer exists`)
    else if (after.state !== before.state)
      differences.push(`${before.id}: was ${before.state}, is ${after.state} (${after.reason})`)
    else if (after.key !== before.key) differences.push(`${before.id}: its inputs have changed`)
    else if (after.state === 'pending' && after.does.join('\n') !== before.does.join('\n'))
      differences.push(
        `${before.id}: would do something different:`,
        ...changedLines(before.does, after.does),
      )
  }
  for (const id of steps.keys()) differences.push(`${id}: this step is new`)
  if (differences.length === 0) return
  throw new AirgapError(
    'PLAN_CHANGED',
    ['the saved plan is out of date:', ...differences.map(line => `  ${line}`)],
    {
      item: now.file,
      likely: 'somebody worked on the site since, or the bundle or site.yaml has changed',
      next: 'review a new plan: `offline-deploy plan --out FILE`; nothing was changed',
    },
  )
}

function changedLines(before: readonly string[], after: readonly string[]): string[] {
  return [
    ...before.filter(line => !after.includes(line)).map(line => `  - ${line}`),
    ...after.filter(line => !before.includes(line)).map(line => `  + ${line}`),
  ].slice(0, 10)
}
