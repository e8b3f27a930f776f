import { AirgapError } from '../../core/errors.ts'
import type { Step } from '../../install/step.ts'
import { secretsStep } from '../../install/steps/secrets.ts'
import { siteSecrets } from '../../inventory/site-secrets.ts'
import { declarationPath, secretsOf } from '../../site/secrets-file.ts'
import type { MachineParts } from './parts.ts'

export function secrets({ install: { entries, folder, site } }: MachineParts): Step | undefined {
  const own = siteSecrets(site)
  if (entries.has(declarationPath)) return secretsStep(secretsOf(folder, site.environment, { site: own }))
  if (own.size === 0) return undefined
  throw new AirgapError(
    'SITE_INVALID',
    'site.yaml has secrets, and the deployment tree has no place for them',
    {
      item: `secrets: ${[...own.keys()].join(', ')}`,
      likely: `the bundle's deployment tree has no ${declarationPath}`,
      next: 'remove secrets from site.yaml and follow the documentation of the tree, or use a bundle whose tree declares its secrets',
    },
  )
}
