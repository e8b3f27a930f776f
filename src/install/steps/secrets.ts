import type { Secrets } from '../../site/secrets-file.ts'
import type { Step } from '../step.ts'

/** Completes the secrets of the environment: existing ones are kept, given ones added, the others generated. */
export function secretsStep(secrets: Secrets): Step {
  return {
    id: 'secrets',
    title: 'Complete the secrets of the applications',
    needs: ['lay-down'],
    inputs: { path: secrets.path, list: secrets.list },
    describe: async () => [
      `complete ${secrets.path} (mode 0600): keep existing secrets, add given ones, generate the others; refuse published defaults`,
    ],
    check: async () => ((await secrets.complete('check')).written ? 'pending' : 'done'),
    async apply({ progress }) {
      const { origins, written } = await secrets.complete('write')
      const generated = origins.filter(({ origin }) => origin === 'generated').length
      progress.note(`secrets: ${secrets.path}: ${written ? `${generated} generated` : 'unchanged'}`)
    },
  }
}
