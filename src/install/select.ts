import { AirgapError } from '../core/errors.ts'
import type { Step } from './step.ts'

/** Which steps to run; default: all. */
export interface StepSelection {
  only?: readonly string[] | undefined
  from?: string | undefined
  skip?: readonly string[] | undefined
  /** runs in spite of `only` and `from`, but not of `skip` */
  keep?: string
}

/**
 * Returns the selected steps, in order. Steps that they need and that are left out are assumed to be done. `app` selects all
 * applications. Throws USAGE for an unknown step, and where none is left.
 */
export function selectSteps(steps: readonly Step[], { only, from, skip = [], keep }: StepSelection): Step[] {
  if (only === undefined && from === undefined && skip.length === 0) return [...steps]
  const known = steps.map(({ id }) => id)
  const named = (text: string): string[] => {
    const found = known.filter(id => id === text || (text === 'app' && id.startsWith('app-')))
    if (found.length > 0) return found
    throw new AirgapError('USAGE', 'there is no such step', {
      item: text,
      likely: `the steps are ${known.join(', ')}; app selects all applications`,
      next: 'choose one of them; without site.yaml there are only the steps of the servers',
    })
  }
  const start = from === undefined ? 0 : known.indexOf(named(from)[0]!)
  const wanted = only === undefined ? undefined : new Set(only.flatMap(named))
  const left = new Set(skip.flatMap(named))
  const chosen = steps.filter(
    ({ id }, i) => (id === keep || (i >= start && (wanted === undefined || wanted.has(id)))) && !left.has(id),
  )
  if (chosen.every(({ id }) => id === keep))
    throw new AirgapError('USAGE', 'the options select no step', {
      next: 'remove some of --only, --from and --skip',
    })
  const there = new Set(chosen.map(({ id }) => id))
  return chosen.map(step => ({ ...step, needs: step.needs.filter(id => there.has(id)) }))
}
