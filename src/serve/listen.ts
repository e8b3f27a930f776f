import type { ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { AirgapError, errnoOf } from '../core/errors.ts'
import { describeHolder } from './port-holder.ts'

/** A server that answers. */
export interface Listening {
  host: string
  /** the real one, also where 0 was asked for */
  port: number
  /**
   * Takes no new connections, lets answers in flight end, and breaks those that have not after `graceMs` (default 10,000).
   */
  close(options?: { graceMs?: number }): Promise<void>
}

/**
 * Binds the server. Throws PORT_IN_USE (naming the process that holds the port, where /proc tells), ADDRESS_UNAVAILABLE and
 * PERMISSION; the server is closed then.
 */
export async function listen(
  server: FastifyInstance,
  { host, port }: { host: string; port: number },
): Promise<Listening> {
  const answering = new Map<ServerResponse, Socket>()
  server.server.on('request', (request, response) => {
    answering.set(response, request.socket)
    response.once('close', () => answering.delete(response))
  })
  try {
    await server.listen({ host, port })
  } catch (error) {
    await server.close()
    throw await bindError(error, { host, port })
  }
  const address = server.server.address() as AddressInfo
  return {
    host,
    port: address.port,
    async close({ graceMs = 10_000 } = {}) {
      const cut = setTimeout(() => server.server.closeAllConnections(), graceMs)
      // closing ends the connections that are idle now; these become idle when their answer is out
      for (const [response, socket] of answering) response.once('close', () => socket.destroySoon())
      try {
        await server.close()
      } finally {
        clearTimeout(cut)
      }
    },
  }
}

async function bindError(error: unknown, { host, port }: { host: string; port: number }): Promise<unknown> {
  const item = `${host.includes(':') ? `[${host}]` : host}:${port}`
  switch (errnoOf(error)) {
    case 'EADDRINUSE': {
      const holder = await describeHolder(port)
      return new AirgapError('PORT_IN_USE', `port ${port} is in use`, {
        item,
        likely: holder === undefined ? 'another server listens there already' : `${holder} listens there`,
        next: 'stop that process, or choose another port',
        cause: error,
      })
    }
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAFNOSUPPORT':
    case 'EINVAL':
      return new AirgapError('ADDRESS_UNAVAILABLE', 'this machine has no such address', {
        item,
        likely: 'a typing mistake, or an interface that is down',
        next: 'choose one of the addresses that `ip address` shows, or 0.0.0.0 for all of them',
        cause: error,
      })
    case 'EACCES':
    case 'EPERM':
      return new AirgapError('PERMISSION', `not allowed to listen on port ${port}`, {
        item,
        likely: 'ports below 1024 are for root, or for programs with CAP_NET_BIND_SERVICE',
        next: 'choose a port from 1024 on, or run as root',
        cause: error,
      })
    case 'ERR_SOCKET_BAD_PORT':
      return new AirgapError('USAGE', 'not a port', {
        item,
        next: 'choose a port from 1 to 65535',
        cause: error,
      })
    default:
      return error
  }
}
