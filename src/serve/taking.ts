import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** A server that answers connections which something else accepts: the listener of this process, or another process. */
export interface Taking {
  take(connection: Socket): void
  /** number of open connections */
  open(): number
  /** number of answers in flight */
  answering(): number
  /** Answers no new requests and waits for answers in flight; after `graceMs` (default 10,000) it closes their connections. */
  close(options?: { graceMs?: number }): Promise<void>
}

/** Makes a server ready for connections. `changed` is called when one of them has ended, and with each request. */
export async function takeConnections(
  server: FastifyInstance,
  { changed = () => {} }: { changed?: () => void } = {},
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
      http.emit('connection', connection)
      // one that waited was paused
      if (connection.isPaused()) connection.resume()
    },
    open: () => connections.size,
    answering: () => answering.size,
    async close({ graceMs = 10_000 } = {}) {
      // connections that are idle now are closed; these become idle once their answer is sent
      for (const [response, socket] of answering) response.once('close', () => socket.destroySoon())
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
  }
}
