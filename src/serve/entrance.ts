import type { Socket } from 'node:net'
import { type Bound, bind } from './listen.ts'

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

/** Binds the ports; nothing of a connection is read before it is taken. Throws what `bind` throws. */
export async function bindEntrance(
  addresses: Readonly<Record<string, { host: string; port: number }>>,
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

  try {
    for (const [server, address] of Object.entries(addresses)) {
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
