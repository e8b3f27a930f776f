import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** A server that answers connections which something else accepts: the listener of this process, or another process. */
export interface Taking {
  take(connection: Socket): void
  /** number of open connections */
  open(): number
  /** Answers no new requests and waits for answers in flight; after `graceMs` (default 10,000) it closes their connections. */
  close(options?: { graceMs?: number }): Promise<void>
}

/** Makes a server ready for connections. `closed` is called when one of them has ended. */
export async function takeConnections(
  server: FastifyInstance,
  { closed = () => {} }: { closed?: () => void } = {},
): Promise<Taking> {
  const http = server.server
  const connections = new Set<Socket>()
  const answering = new Map<ServerResponse, Socket>()
  let drained = () => {}
  http.on('request', (request, response) => {
    answering.set(response, request.socket)
    response.once('close', () => answering.delete(response))
  })
  await server.ready()
  // starts the checks of timeouts and the list of idle connections, which Node.js starts with the listener (lib/_http_server.js)
  http.emit('listening')
  return {
    take(connection) {
      if (connections.size >= http.maxConnections) {
        connection.destroy()
        closed()
        return
      }
      connections.add(connection)
      connection.once('close', () => {
        connections.delete(connection)
        if (connections.size === 0) drained()
        closed()
      })
      // as Node.js accepts connections of an HTTP server
      connection.allowHalfOpen = true
      http.emit('connection', connection)
      // one that waited was paused
      if (connection.isPaused()) connection.resume()
    },
    open: () => connections.size,
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
