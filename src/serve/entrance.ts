import type { Socket } from 'node:net'
import { AirgapError } from '../core/errors.ts'
import { type Bound, bind, takeOver } from './listen.ts'

/** Passes a connection to what answers it; returns false where nothing can yet: then the connection waits. */
export type TakeConnection = (server: string, connection: Socket) => boolean

/** The ports of several servers, bound before the servers are ready, so that no other program can bind them at any time. */
export interface Entrance {
  /** server → its actual port */
  readonly ports: ReadonlyMap<string, number>
  /** Sets what takes connections; those that wait come first. */
  open(take: TakeConnection): void
  /** Tries again with the connections that wait. */
  retry(): void
  /** Accepts no new connections, and closes those that wait. */
  close(): void
}

/** of connections that wait; more are closed */
const maxWaiting = 10_000

/**
 * Binds the ports; nothing of a connection is read before it is taken. `sockets` are descriptors of listening sockets that the service
 * manager has passed: with them, nothing is bound, and each port has to be among them. Throws what `bind` and `takeOver` throw, USAGE.
 */
export async function bindEntrance(
  addresses: Readonly<Record<string, { host: string; port: number }>>,
  { sockets = [] }: { sockets?: readonly number[] } = {},
): Promise<Entrance> {
  const bound = new Map<string, Bound>()
  let waiting: { server: string; connection: Socket }[] = []
  let take: TakeConnection = () => false

  function accept(server: string, connection: Socket): void {
    // a client that leaves before it is taken; whatever takes the connection listens to its errors
    connection.once('error', () => connection.destroy())
    if (take(server, connection)) return
    if (waiting.length < maxWaiting) waiting.push({ server, connection })
    else connection.destroy()
  }

  function retry(): void {
    const before = waiting
    waiting = []
    for (const { server, connection } of before) accept(server, connection)
  }

  function close(): void {
    for (const one of bound.values()) one.close()
    for (const { connection } of waiting) connection.destroy()
    waiting = []
  }

  /** Which server a passed socket is for: its port says so. */
  async function enter(descriptor: number): Promise<void> {
    let server = ''
    const port = await takeOver(descriptor, {
      paused: true,
      accept: connection => accept(server, connection),
    })
    server = Object.entries(addresses).find(([, address]) => address.port === port.port)?.[0] ?? ''
    if (server === '' || bound.has(server)) port.close()
    else bound.set(server, port)
  }

  try {
    for (const descriptor of sockets) await enter(descriptor)
    const missing = Object.entries(addresses).find(([server]) => sockets.length > 0 && !bound.has(server))
    if (missing !== undefined) throw notPassed(missing[1].port)
    for (const [server, address] of Object.entries(sockets.length > 0 ? {} : addresses)) {
      const port = await bind(address, { paused: true, accept: connection => accept(server, connection) })
      bound.set(server, port)
    }
  } catch (error) {
    close()
    throw error
  }
  return {
    ports: new Map([...bound].map(([server, { port }]) => [server, port])),
    open(taking) {
      take = taking
      retry()
    },
    retry,
    close,
  }
}

function notPassed(port: number): AirgapError {
  return new AirgapError('USAGE', `the service manager has not passed a socket for port ${port}`, {
    item: String(port),
    likely: 'the ports of the site were changed after its units were written',
    next: 'write the units again: `offline-deploy service install`',
  })
}
