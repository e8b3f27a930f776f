import type { StepContext } from '../install/step.ts'
import type { PasswordSources } from './passwords.ts'
import type { ConfirmKey } from './site-trust.ts'

/** What a use case gets from the program that runs it: nothing in this folder prints, prompts or reads the clock by itself. */
export interface DeployContext extends StepContext, PasswordSources {
  /** program and arguments that run this program again, without a command */
  self: readonly string[]
  /** asks a person whether the key of the first signed bundle is the right one; undefined without a terminal */
  confirmKey?: ConfirmKey | undefined
}
