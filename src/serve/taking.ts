import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { AccessEntry } from './served.ts'
import type { TlsConnections, TlsSettings } from './tls-connections.ts'

/** A server that answers connections which something else accepts: the listener of this process, or another process. */
export interface Taking {
  take(connection: Socket): void
  /** number of open connections */
  open(): number
  /** number of answers in flight */
  answering(): number
  /** Answers no new requests and waits for answers in flight; after `graceMs` (default 10,000) it closes their connections. */
  close(options?: { graceMs?: number }): Promise<void>
  /** Uses another certificate for connections from now on. */
  renewTls(settings: TlsSettings): void
}

/** A server that clients reach with TLS only. */
export interface TakingTls {
  settings: TlsSettings
  /** of the server, without a path: what a client that sends HTTP without TLS should have used */
  url: string
  log(entry: AccessEntry): void
}

/** Makes a server ready for connections. `changed` is called when one of them has ended, and with each request. */
export async function takeConnections(
  server: FastifyInstance,
  { changed = () => {}, tls }: { changed?: () => void; tls?: TakingTls | undefined } = {},
): Promise<Taking> {
  const http = server.server
  const connections = new Set<Socket>()
  const answering = new Map<ServerResponse, Socket>()
  let drained = () => {}
  http.on('request', (request, response) => {
    answering.set(response, request.socket)
    response.once('close', () => answering.delete(response))
    changed()
  })
  await server.ready()
  // starts the checks of timeouts and the list of idle connections, which Node.js starts with the listener (lib/_http_server.js)
  http.emit('listening')
  const encrypted =
    tls && (await encryptedConnections(tls, connection => http.emit('connection', connection)))
  return {
    take(connection) {
      if (connections.size >= http.maxConnections) {
        connection.destroy()
        changed()
        return
      }
      connections.add(connection)
      connection.once('close', () => {
        connections.delete(connection)
        if (connections.size === 0) drained()
        changed()
      })
      // as Node.js accepts connections of an HTTP server
      connection.allowHalfOpen = true
      if (encrypted !== undefined) return encrypted.accept(connection)
      http.emit('connection', connection)
      // one that waited was paused
      if (connection.isPaused()) connection.resume()
    },
    open: () => connections.size,
    answering: () => answering.size,
    async close({ graceMs = 10_000 } = {}) {
      // connections that are idle now are closed; these become idle once their answer is sent
      for (const [response, socket] of answering) response.once('close', () => socket.destroySoon())
      encrypted?.close()
      await server.close()
      if (connections.size === 0) return
      const cut = setTimeout(() => {
        for (const connection of connections) connection.destroy()
      }, graceMs)
      await new Promise<void>(resolve => {
        drained = resolve
      })
      clearTimeout(cut)
    },
    renewTls: settings => encrypted?.renew(settings),
  }
}

async function encryptedConnections(
  { settings, url, log }: TakingTls,
  secured: (connection: Socket) => void,
): Promise<TlsConnections> {
  const { tlsConnections } = await import('./tls-connections.ts')
  const refused = (status: number, { remoteAddress = '' }: Socket, error: string) =>
    log({ method: '', url: '', status, bytes: 0, milliseconds: 0, remoteAddress, error })
  return tlsConnections(settings, {
    name: url,
    events: {
      secured,
      plainHttp(connection) {
        refused(400, connection, 'an HTTP request without TLS')
        return plainHttpAnswer(url)
      },
      failed: (error, connection) => refused(400, connection, `TLS handshake: ${error.message}`),
    },
  })
}

function plainHttpAnswer(url: string): string {
  const body = `This server speaks HTTPS: use ${url}\n`
  return [
    'HTTP/1.1 400 Bad Request',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
