import type { Step } from '../../install/step.ts'
import { secretsStep } from '../../install/steps/secrets.ts'
import { declarationPath, secretsOf } from '../../site/secrets-file.ts'
import type { MachineParts } from './parts.ts'

export function secrets({ install: { entries, folder, site } }: MachineParts): Step | undefined {
  if (!entries.has(declarationPath)) return undefined
  return secretsStep(secretsOf(folder, site.environment))
}
