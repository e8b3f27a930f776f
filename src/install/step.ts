import { canonicalJson } from '../core/canonical-json.ts'
import { type Digest, digestOf } from '../core/digest.ts'
import type { Progress } from '../core/progress.ts'

export interface StepContext {
  progress: Progress
  signal: AbortSignal
  now: () => Date
}

/** One step of an install. Safe to run again at any time, also after it was killed half-way. */
export interface Step {
  /** unique; lower-case words */
  readonly id: string
  /** what it is for, one line */
  readonly title: string
  /** ids of steps that come before */
  readonly needs: readonly string[]
  /**
   * Everything that decides what this step does, as JSON, or how it is found out when the step's turn comes, after those before it;
   * another value makes the step run again. Holds no secret.
   */
  readonly inputs: StepInputs
  /** runs in every `apply`, whatever the journal says */
  readonly always?: boolean
  /** What `apply` will do, one line each: files, commands, addresses. Changes nothing. */
  describe(context: StepContext): Promise<string[]>
  /** Whether the world is as this step leaves it, as far as can be seen cheaply. Changes nothing. */
  check(context: StepContext): Promise<'done' | 'pending'>
  apply(context: StepContext): Promise<void>
  undo?(context: StepContext): Promise<void>
}

export type StepInputs = object | (() => Promise<object>)

/** Under what the journal remembers a step: the same inputs, the same key. */
export async function stepKey({ id, inputs }: Pick<Step, 'id' | 'inputs'>): Promise<Digest> {
  const found = typeof inputs === 'function' ? await (inputs as () => Promise<object>)() : inputs
  return digestOf(canonicalJson({ id, inputs: found }))
}
