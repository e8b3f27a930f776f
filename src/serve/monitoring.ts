import type { FastifyInstance, FastifyReply } from 'fastify'
import { preferredVersion } from './negotiate.ts'

/** What monitoring systems request; both answers come from the one process that knows them for all. */
export interface Monitoring {
  readiness(): Promise<Readiness>
  /** Returns all metrics as text of this media type, one of `metricsTypes`. */
  metrics(mediaType: string): Promise<string>
}

export interface MonitoringOptions extends Monitoring {
  /** of `metrics`: the client's Accept header chooses, and the first is for clients that accept none */
  mediaTypes: readonly string[]
}

/** Whether the servers can answer, and why not. */
export interface Readiness {
  checks: ReadinessCheck[]
}

export interface ReadinessCheck {
  name: string
  /** one line; absent: passed */
  failure?: string
}

export const monitoringPaths = { health: '/healthz', readiness: '/readyz', metrics: '/metrics' } as const

/** Whether a request is a probe: these have no login, and say nothing about content. */
export function isProbe(url: string): boolean {
  return url === monitoringPaths.health || url === monitoringPaths.readiness
}

/**
 * Adds `/healthz` (this process answers), `/readyz` (200 or 503, with a line for each check, in the form of the Kubernetes API server) and
 * `/metrics`.
 */
export function answerMonitoring(
  server: FastifyInstance,
  { readiness, metrics, mediaTypes }: MonitoringOptions,
): void {
  const route = (url: string, handler: (accept: string, reply: FastifyReply) => Promise<Text>) =>
    server.route({
      method: ['GET', 'HEAD'],
      url,
      async handler(request, reply) {
        const { mediaType, text } = await handler(request.headers.accept ?? '', reply)
        return await reply
          .headers({ 'content-type': mediaType, 'cache-control': 'no-store' })
          .send(Buffer.from(text))
      },
    })
  route(monitoringPaths.health, async () => plain('ok\n'))
  route(monitoringPaths.readiness, async (_, reply) => {
    const { checks } = await readiness()
    if (!isReady({ checks })) reply.code(503)
    return plain(readinessText({ checks }))
  })
  route(monitoringPaths.metrics, async accept => {
    const mediaType = preferredVersion(mediaTypes, accept)
    return { mediaType, text: await metrics(mediaType) }
  })
}

interface Text {
  mediaType: string
  text: string
}

export function isReady({ checks }: Readiness): boolean {
  return checks.every(({ failure }) => failure === undefined)
}

/** `[+]disk ok`, `[-]disk failed: …`, and a line that sums it up. */
export function readinessText({ checks }: Readiness): string {
  const lines = checks.map(({ name, failure }) =>
    failure === undefined ? `[+]${name} ok` : `[-]${name} failed: ${failure}`,
  )
  return [...lines, isReady({ checks }) ? 'ready' : 'not ready', ''].join('\n')
}

function plain(text: string): Text {
  return { mediaType: 'text/plain; charset=utf-8', text }
}
