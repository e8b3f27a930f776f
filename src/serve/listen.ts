import type { ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { AirgapError, errnoOf } from '../core/errors.ts'
import { describeHolder } from './port-holder.ts'

/** A server that is listening. */
export interface Listening {
  host: string
  /** the actual port, also if 0 was requested */
  port: number
  /**
   * Accepts no new connections and waits for answers in flight; after `graceMs` (default 10,000) it closes their connections.
   */
  close(options?: { graceMs?: number }): Promise<void>
}

/**
 * Binds the server. On failure it closes the server and throws PORT_IN_USE (with the process that holds the port, if /proc shows it),
 * ADDRESS_UNAVAILABLE, PERMISSION, USAGE.
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
      // close() ends connections that are idle now; these become idle once their answer is sent
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
        likely: holder === undefined ? 'another server listens on it' : `${holder} listens on it`,
        next: 'stop that process, or choose another port',
        cause: error,
      })
    }
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAFNOSUPPORT':
    case 'EINVAL':
      return new AirgapError('ADDRESS_UNAVAILABLE', 'this machine does not have this address', {
        item,
        likely: 'the address is misspelled, or its interface is down',
        next: 'choose an address that `ip address` shows, or 0.0.0.0 for all of them',
        cause: error,
      })
    case 'EACCES':
    case 'EPERM':
      return new AirgapError('PERMISSION', `this user may not listen on port ${port}`, {
        item,
        likely: 'ports below 1024 require root or CAP_NET_BIND_SERVICE',
        next: 'choose a port above 1023, or run the command as root',
        cause: error,
      })
    case 'ERR_SOCKET_BAD_PORT':
      return new AirgapError('USAGE', 'the port is invalid', {
        item,
        next: 'choose a port from 1 to 65535',
        cause: error,
      })
    default:
      return error
  }
}
