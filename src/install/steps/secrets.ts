import type { Secrets } from '../../site/secrets-file.ts'
import type { Step } from '../step.ts'

/** The secrets of the environment: kept where they are, else given, else made. */
export function secretsStep(secrets: Secrets): Step {
  return {
    id: 'secrets',
    title: 'secrets of the applications',
    needs: ['lay-down'],
    inputs: { path: secrets.path, list: secrets.list },
    describe: async () => [
      `complete ${secrets.path} (mode 0600): what is there stays, what is given is taken, the rest is generated; published defaults are refused`,
    ],
    check: async () => ((await secrets.complete('check')).written ? 'pending' : 'done'),
    async apply({ progress }) {
      const { origins, written } = await secrets.complete('write')
      const made = origins.filter(({ origin }) => origin === 'generated').length
      progress.note(`secrets: ${secrets.path}: ${written ? `${made} generated` : 'unchanged'}`)
    },
  }
}
