import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { defined } from '../core/defined.ts'
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
  /**
   * Lets answers in flight end, however long they take, and closes each connection after its answer; a client sends its next request on a new
   * connection, which another server takes. `idleClosed` resolves once no connection is idle any more, `ended` once none is left.
   */
  drain(): Draining
  /** Uses another certificate for connections from now on. */
  renewTls(settings: TlsSettings): void
}

/** A server that clients reach with TLS only. */
export interface TakingTls {
  settings: TlsSettings
  /** of the server, without a path: what a client that sends HTTP without TLS should have used */
  url: string
  log(entry: AccessEntry): void
  /** how long a handshake may take; default 15,000 */
  handshakeMs?: number
}

export interface Draining {
  idleClosed: Promise<void>
  ended: Promise<void>
}

/** Several that drain, as one. */
export function drainAll(all: readonly Draining[]): Draining {
  const whenAll = async (promises: Promise<void>[]) => void (await Promise.all(promises))
  return {
    idleClosed: whenAll(all.map(({ idleClosed }) => idleClosed)),
    ended: whenAll(all.map(({ ended }) => ended)),
  }
}

/**
 * A client that has just got an answer may already have sent its next request on the same connection: it is answered, and the connection is
 * closed with that answer, as HTTP says it (RFC 9112, 9.6).
 */
const lingerMs = 250
/** A client that has connected and requested nothing yet has as long as the head of a request may take. */
const firstRequestMs = 15_000

/** Makes a server ready for connections. `changed` is called when one of them has ended, and with each request. */
export async function takeConnections(
  server: FastifyInstance,
  { changed = () => {}, tls }: { changed?: () => void; tls?: TakingTls | undefined } = {},
): Promise<Taking> {
  const http = server.server
  const connections = new Set<Socket>()
  /** of those that have sent a request */
  const answering = new Map<Socket, Answering>()
  let isDraining = false
  let whenEmpty: (() => void)[] = []

  // before the server's own listener, which may answer at once
  http.prependListener('request', ({ socket }, response) => {
    const connection = connectionOf(socket)
    const answers = answering.get(connection) ?? { socket, inFlight: new Set(), closing: undefined }
    answering.set(connection, answers)
    answers.inFlight.add(response)
    if (isDraining) closeAfterLast(answers)
    response.once('close', () => {
      answers.inFlight.delete(response)
      if (isDraining && answers.inFlight.size === 0) socket.destroySoon()
    })
    changed()
  })
  await server.ready()
  // starts the checks of timeouts and the list of idle connections, which Node.js starts with the listener (lib/_http_server.js)
  http.emit('listening')
  const encrypted =
    tls && (await encryptedConnections(tls, connection => http.emit('connection', connection)))

  function connectionOf(socket: Socket): Socket {
    if (connections.has(socket)) return socket
    // of TLS: the connection below it (lib/_tls_wrap.js)
    return (socket as Socket & { _parent?: Socket })._parent ?? socket
  }

  async function empty(): Promise<void> {
    if (connections.size === 0) return
    await new Promise<void>(resolve => whenEmpty.push(resolve))
  }

  async function drained(): Promise<void> {
    const cut = setTimeout(() => {
      for (const connection of connections) if (!answering.has(connection)) connection.destroy()
    }, firstRequestMs)
    await empty()
    clearTimeout(cut)
    // not before: it would refuse first requests that are still on their way
    await server.close()
  }

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
        answering.delete(connection)
        if (connections.size === 0) {
          for (const resolve of whenEmpty) resolve()
          whenEmpty = []
        }
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
    answering: () => [...answering.values()].reduce((sum, { inFlight }) => sum + inFlight.size, 0),
    async close({ graceMs = 10_000 } = {}) {
      // connections that are idle now are closed by the server; the others once their answer is sent
      isDraining = true
      // a client that has just connected would find its connection reset, although another server is about to take its place
      if ([...connections].some(connection => !answering.has(connection)))
        await sleep(Math.min(lingerMs, graceMs))
      encrypted?.close()
      await server.close()
      const cut = setTimeout(() => {
        for (const connection of connections) connection.destroy()
      }, graceMs)
      await empty()
      clearTimeout(cut)
    },
    drain() {
      isDraining = true
      for (const answers of answering.values()) closeAfterLast(answers)
      const idleClosed = sleep(lingerMs).then(() => {
        for (const { socket, inFlight } of answering.values()) if (inFlight.size === 0) socket.destroySoon()
      })
      return { idleClosed, ended: drained() }
    },
    renewTls: settings => encrypted?.renew(settings),
  }
}

/** The answers of one connection. */
interface Answering {
  /** what is read and written: of TLS, not the connection itself */
  socket: Socket
  /** answers that are not complete, in order: several where the client pipelines */
  inFlight: Set<ServerResponse>
  /** the answer that closes the connection */
  closing: ServerResponse | undefined
}

/** Not an earlier one: that would cut off the answers to requests that the client has pipelined after it. */
function closeAfterLast(answers: Answering): void {
  const last = [...answers.inFlight].at(-1)
  if (last === undefined || last.headersSent || !last.shouldKeepAlive) return
  if (answers.closing?.headersSent === false) answers.closing.shouldKeepAlive = true
  last.shouldKeepAlive = false
  answers.closing = last
}

async function encryptedConnections(
  { settings, url, log, handshakeMs }: TakingTls,
  secured: (connection: Socket) => void,
): Promise<TlsConnections> {
  const { tlsConnections } = await import('./tls-connections.ts')
  const refused = (status: number, { remoteAddress = '' }: Socket, error: string) =>
    log({ method: '', url: '', status, bytes: 0, milliseconds: 0, remoteAddress, error })
  return tlsConnections(settings, {
    name: url,
    ...defined({ limitMs: handshakeMs }),
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
