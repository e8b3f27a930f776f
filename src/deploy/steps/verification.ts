import type { Step } from '../../install/step.ts'
import { verificationStep } from '../../install/steps/verification.ts'
import { clusterExpectations } from '../cluster-expectations.ts'
import type { MachineParts } from './parts.ts'

/** The last step. `needs`: the steps that change the cluster. */
export function verification(parts: MachineParts, needs: readonly string[]): Step {
  return verificationStep({ ...clusterExpectations(parts), cluster: parts.tools.cluster, needs })
}
