import { AirgapError } from '../../core/errors.ts'
import type { SampleRequest } from '../../site/sample-requests.ts'
import { httpGet } from '../http-get.ts'
import type { Step } from '../step.ts'

/** Sends requests as the site's machines will, to the address that they will use, and compares digests. */
export function checkStep({ requests }: { requests: readonly SampleRequest[] }): Step {
  return {
    id: 'check',
    title: 'pull as a client of the site would',
    needs: ['serve', 'configure'],
    inputs: requests.map(({ url, expected }) => ({ url, digest: expected?.digest ?? null })),
    describe: async () =>
      requests.map(({ url, expected }) => `GET ${url}${expected ? `, expect ${expected.digest}` : ''}`),
    // it is quick, and only worth something now
    always: true,
    check: async () => 'pending',
    async apply({ signal, progress }) {
      for (const { url, headers, expected } of requests) {
        const answer = await httpGet(url, { signal, ...(headers === undefined ? {} : { headers }) })
        if (answer.status !== 200) throw wrong(url, `status ${answer.status} instead of 200`)
        if (expected !== undefined && (answer.digest !== expected.digest || answer.size !== expected.size)) {
          throw new AirgapError(
            'DIGEST_MISMATCH',
            `the answer has digest ${answer.digest}, not ${expected.digest}`,
            {
              item: url,
              likely: 'another server answers under this address, or something on the way alters answers',
              next: 'find out what answers there; do not deploy from it',
            },
          )
        }
        progress.note(`check: ${url}: good, ${answer.size} bytes`)
      }
    },
  }
}

function wrong(url: string, what: string): AirgapError {
  return new AirgapError('STEP_FAILED', `the site answers with ${what}`, {
    item: url,
    likely: 'another server answers under this address',
    next: 'check --address and the ports, then run the same command again',
  })
}
