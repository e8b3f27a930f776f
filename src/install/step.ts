import { canonicalJson } from '../core/canonical-json.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import type { Progress } from '../core/progress.ts'

export interface StepContext {
  progress: Progress
  signal: AbortSignal
  now: () => Date
}

/** One step of an install. It can run again at any time, also after it was killed. */
export interface Step {
  /** unique; lower-case words */
  readonly id: string
  /** what it does, as an imperative of one line */
  readonly title: string
  /** ids of the steps before it */
  readonly needs: readonly string[]
  /**
   * Everything that decides what this step does, as JSON, or a function that returns it when the steps before have run. Another
   * value makes the step run again. Contains no secret.
   */
  readonly inputs: StepInputs
  /** runs in every `apply`, whatever the journal says */
  readonly always?: boolean
  /** Returns what `apply` would do, one line each: files, commands, addresses. Changes nothing. */
  describe(context: StepContext): Promise<string[]>
  /** Returns whether everything is as this step leaves it, as far as a quick check can say. Changes nothing. */
  check(context: StepContext): Promise<'done' | 'pending'>
  apply(context: StepContext): Promise<void>
}

/** Takes back what a step changed on this host. It needs nothing but the state folder: the bundle may be out of reach. */
export interface UndoStep {
  /** of the step */
  readonly id: string
  undo(context: StepContext): Promise<void>
}

export type StepInputs = object | (() => Promise<object>)

/** Returns the key of a step in the journal: the same inputs, the same key. */
export async function stepKey({ id, inputs }: Pick<Step, 'id' | 'inputs'>): Promise<Digest> {
  const found = typeof inputs === 'function' ? await (inputs as () => Promise<object>)() : inputs
  return digestOf(canonicalJson({ id, inputs: found }))
}
