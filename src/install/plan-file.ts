import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { writeAtomically } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { AirgapError, fromSystemError } from '../core/errors.ts'
import type { PlannedStep } from './plan.ts'

/** A plan that was looked at, and may be carried out as long as it is still what would be done. */
const planSchema = z.strictObject({
  planVersion: z.literal(1),
  /** the state folder's random id */
  site: z.string(),
  /** what of an install it is about; all where nothing is said */
  asked: z
    .strictObject({
      only: z.array(z.string()),
      from: z.string(),
      skip: z.array(z.string()),
      /** machines, as ansible takes them */
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

/** Throws PLAN_CHANGED where it is no plan. */
export async function readPlanFile(path: string): Promise<PlanFile> {
  try {
    return planSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof z.ZodError)) throw fromSystemError(error, path)
    throw new AirgapError('PLAN_CHANGED', 'not a plan', {
      item: path,
      likely: 'another file, or one that another version wrote',
      next: 'make one with `offline-deploy plan --out FILE`',
      cause: error,
    })
  }
}

/** Throws PLAN_CHANGED with what is different now from when the plan was made. */
export function refuseChangedPlan(
  planned: PlanFile,
  now: { site: string; steps: readonly PlannedStep[]; file: string },
): void {
  const differences: string[] = []
  if (planned.site !== now.site) differences.push('it was made for another site')
  const steps = new Map(now.steps.map(step => [step.id, step]))
  for (const before of planned.steps) {
    const after = steps.get(before.id)
    steps.delete(before.id)
    if (after === undefined) differences.push(`${before.id}: is no step any more`)
    else if (after.state !== before.state)
      differences.push(`${before.id}: was ${before.state}, is ${after.state} (${after.reason})`)
    else if (after.key !== before.key) differences.push(`${before.id}: what decides it has changed`)
    else if (after.state === 'pending' && after.does.join('\n') !== before.does.join('\n'))
      differences.push(`${before.id}: would do something else:\n${changedLines(before.does, after.does)}`)
  }
  for (const id of steps.keys()) differences.push(`${id}: was no step then`)
  if (differences.length === 0) return
  throw new AirgapError(
    'PLAN_CHANGED',
    `the world is not as it was when the plan was made:\n  ${differences.join('\n  ')}`,
    {
      item: now.file,
      likely: 'somebody worked on the site in between, or the bundle or site.yaml is another',
      next: 'look at a new plan: `offline-deploy plan --out FILE`; nothing was changed',
    },
  )
}

function changedLines(before: readonly string[], after: readonly string[]): string {
  return [
    ...before.filter(line => !after.includes(line)).map(line => `    - ${line}`),
    ...after.filter(line => !before.includes(line)).map(line => `    + ${line}`),
  ]
    .slice(0, 10)
    .join('\n')
}
