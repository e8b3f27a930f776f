import { defined } from '../../core/defined.ts'
import { AirgapError } from '../../core/errors.ts'
import type { SampleRequest } from '../../site/sample-requests.ts'
import { httpGet } from '../http-get.ts'
import type { Step } from '../step.ts'

/** Requests content as the site's machines do, from the address that they use, and compares digests. */
export function checkStep({
  requests,
  ca,
}: {
  requests: readonly SampleRequest[]
  /** PEM: the only certificates that are trusted; undefined: plain HTTP */
  ca?: () => Promise<string | undefined>
}): Step {
  return {
    id: 'check',
    title: 'Pull content as a client of the site',
    needs: ['serve', 'configure'],
    inputs: requests.map(({ url, expected }) => ({ url, digest: expected?.digest ?? null })),
    describe: async () =>
      requests.map(({ url, expected }) => `GET ${url}${expected ? `, expect ${expected.digest}` : ''}`),
    // quick, and an earlier result says nothing about now
    always: true,
    check: async () => 'pending',
    async apply({ signal, progress }) {
      const trusted = await ca?.()
      for (const { url, headers, expected } of requests) {
        const answer = await httpGet(url, defined({ signal, headers, ca: trusted }))
        if (answer.status !== 200) throw wrong(url, `status ${answer.status} instead of 200`)
        if (expected !== undefined && (answer.digest !== expected.digest || answer.size !== expected.size)) {
          throw new AirgapError(
            'DIGEST_MISMATCH',
            `the answer has digest ${answer.digest}, not ${expected.digest}`,
            {
              item: url,
              likely: 'another server answers at this address, or a proxy changes answers',
              next: 'find out what answers there, and do not deploy from it',
            },
          )
        }
        progress.note(`check: ${url}: ok, ${answer.size} bytes`)
      }
    },
  }
}

function wrong(url: string, what: string): AirgapError {
  return new AirgapError('STEP_FAILED', `the site answers with ${what}`, {
    item: url,
    likely: 'another server answers at this address',
    next: 'check --address and the ports, then run the same command again',
  })
}
