import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { callerOf, type TokenAnswer, type TokenRequest, tokenPath } from './permission.ts'
import { parseTarget } from './target.ts'

/** longer than any form with credentials and scopes */
const maxForm = 16 << 10 /* bytes */

/** Adds the routes of tokens. Only they parse a body: the parser is in a scope of its own. */
export function answerTokens(
  server: FastifyInstance,
  answer: (request: TokenRequest) => Promise<TokenAnswer>,
): void {
  async function handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const isPost = request.method === 'POST'
    const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams()
    const made = await answer({
      method: isPost ? 'POST' : 'GET',
      parameters: isPost ? form : parseTarget(request.raw.url ?? '/').query,
      caller: callerOf(request),
    })
    const bytes = Buffer.from(JSON.stringify(made.body))
    // RFC 6749 section 5.1
    return reply
      .code(made.status)
      .headers({
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
        ...made.headers,
      })
      .send(bytes)
  }
  server.register(async scope => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: maxForm },
      (_request, body, done) => done(null, new URLSearchParams(String(body))),
    )
    scope.route({ method: ['GET', 'POST'], url: tokenPath, handler: handle })
  })
}
