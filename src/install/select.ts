import { AirgapError } from '../core/errors.ts'
import type { Step } from './step.ts'

/** Which steps a run is about; all where nothing is said. */
export interface StepSelection {
  only?: readonly string[] | undefined
  from?: string | undefined
  skip?: readonly string[] | undefined
  /** stays, whatever `only` and `from` say; `skip` takes it away */
  keep?: string
}

/**
 * Takes the steps that are asked for, in their order. What they need and is left out is assumed to be done: that is the operator's
 * business. `app` stands for all steps of applications. Throws USAGE for a step that there is none of.
 */
export function selectSteps(steps: readonly Step[], { only, from, skip = [], keep }: StepSelection): Step[] {
  if (only === undefined && from === undefined && skip.length === 0) return [...steps]
  const known = steps.map(({ id }) => id)
  const named = (text: string): string[] => {
    const found = known.filter(id => id === text || (text === 'app' && id.startsWith('app-')))
    if (found.length > 0) return found
    throw new AirgapError('USAGE', 'no such step', {
      item: text,
      likely: `there are ${known.join(', ')}, and app for all applications`,
      next: 'name one of them; without site.yaml there are only those of the servers',
    })
  }
  const start = from === undefined ? 0 : known.indexOf(named(from)[0]!)
  const wanted = only === undefined ? undefined : new Set(only.flatMap(named))
  const left = new Set(skip.flatMap(named))
  const chosen = steps.filter(
    ({ id }, i) => (id === keep || (i >= start && (wanted === undefined || wanted.has(id)))) && !left.has(id),
  )
  if (chosen.every(({ id }) => id === keep))
    throw new AirgapError('USAGE', 'no step is left', { next: 'ask for less with --only, --from and --skip' })
  const there = new Set(chosen.map(({ id }) => id))
  return chosen.map(step => ({ ...step, needs: step.needs.filter(id => there.has(id)) }))
}
