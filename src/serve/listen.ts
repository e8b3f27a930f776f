import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { AirgapError, errnoOf } from '../core/errors.ts'
import { describeHolder } from './port-holder.ts'
import { type Taking, takeConnections } from './taking.ts'

/** A port that is bound. */
export interface Bound {
  host: string
  /** the actual port, also if 0 was requested */
  port: number
  /** Accepts no new connections; those that were accepted stay. */
  close(): void
}

/** A server that is listening. */
export interface Listening extends Pick<Bound, 'host' | 'port'>, Pick<Taking, 'close'> {}

/** Binds a port, and then the server to it. Throws what `bind` throws. */
export async function listen(
  server: FastifyInstance,
  address: { host: string; port: number },
): Promise<Listening> {
  const taking = await takeConnections(server)
  try {
    const { host, port, close } = await bind(address, { accept: taking.take })
    return {
      host,
      port,
      async close(options) {
        close()
        await taking.close(options)
      },
    }
  } catch (error) {
    await taking.close()
    throw error
  }
}

/**
 * Binds a port and accepts connections, of which nothing is read here where `paused`: another process does. Throws PORT_IN_USE (with the
 * process that holds the port, if /proc shows it), ADDRESS_UNAVAILABLE, PERMISSION, USAGE.
 */
export async function bind(
  { host, port }: { host: string; port: number },
  { accept, paused = false }: Accepting,
): Promise<Bound> {
  const server = createServer({ noDelay: true, pauseOnConnect: paused }, accept)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, () => resolve())
    })
  } catch (error) {
    throw await bindError(error, { host, port })
  }
  return { host, port: (server.address() as AddressInfo).port, close: () => void server.close() }
}

/**
 * Takes over a listening socket that the service manager has opened, by its descriptor: it stays open there while this process is started
 * again. Throws ADDRESS_UNAVAILABLE where it is none.
 */
export async function takeOver(descriptor: number, { accept, paused = false }: Accepting): Promise<Bound> {
  const server = createServer({ noDelay: true, pauseOnConnect: paused }, accept)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ fd: descriptor }, () => resolve())
    })
    const { address, port } = server.address() as AddressInfo
    return { host: address, port, close: () => void server.close() }
  } catch (error) {
    throw new AirgapError(
      'ADDRESS_UNAVAILABLE',
      'the socket that the service manager has passed cannot be used',
      {
        item: `descriptor ${descriptor}`,
        likely: 'it is not a listening TCP socket',
        next: 'write the units again: `offline-deploy service install`',
        cause: error,
      },
    )
  }
}

interface Accepting {
  accept: (connection: Socket) => void
  paused?: boolean
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
