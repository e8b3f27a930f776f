import type { FastifyInstance } from 'fastify'
import { AirgapError } from '../core/errors.ts'
import { parseTarget } from './target.ts'

/** How a server proves who it is. */
export interface ChallengeOptions {
  /** URL path at which challenges are answered */
  path: string
  /** Returns the answer, as JSON. `address` is `IP PORT` of this end of the connection. */
  answer(challenge: { nonce: string; address: string }): object | Promise<object>
}

/** Adds the route that answers challenges. A nonce of a fixed form keeps clients from having texts of their choice signed. */
export function answerChallenges(server: FastifyInstance, { path, answer }: ChallengeOptions): void {
  server.route({
    method: 'GET',
    url: path,
    async handler(request, reply) {
      const nonce = parseTarget(request.raw.url ?? '/').query.get('nonce') ?? ''
      if (!/^[0-9a-f]{64}$/.test(nonce))
        throw new AirgapError('USAGE', 'the nonce is invalid', {
          item: nonce.slice(0, 100),
          next: 'pass ?nonce= and 64 hex digits that were never used before',
        })
      const { localAddress = '', localPort = 0 } = request.socket
      // a socket that listens on :: shows IPv4 addresses as mapped ones
      const address = `${localAddress.replace(/^::ffff:(?=\d+\.)/i, '')} ${localPort}`
      return await reply
        .headers({ 'content-type': 'application/json', 'cache-control': 'no-store' })
        .send(Buffer.from(JSON.stringify(await answer({ nonce, address }))))
    },
  })
}
