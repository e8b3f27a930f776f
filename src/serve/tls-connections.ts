import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

/** What a server needs for TLS; plain JSON. */
export interface TlsSettings {
  /** PEM: the certificate, and the intermediate ones after it */
  certificate: string
  /** PEM */
  key: string
  /** base64 of 48 bytes, the same in all processes, so that a client resumes its session with any of them (RFC 5077) */
  ticketKeys: string
}

/** Makes TLS connections of plain ones. */
export interface TlsConnections {
  /** Takes an accepted connection, of which nothing was read. */
  accept(connection: Socket): void
  /** Uses another certificate, or other keys for tickets, for connections from now on. */
  renew(settings: TlsSettings): void
  /** Closes the connections of which the handshake is not complete. */
  close(): void
}

export interface TlsEvents {
  secured(connection: TLSSocket): void
  /** A client that sends HTTP without TLS. Returns the answer; then the connection is closed. */
  plainHttp(connection: Socket): string
  /** A handshake that failed; its connection is closed. */
  failed(error: Error, connection: Socket): void
}

/** How long a handshake may take, the first byte included. */
const handshakeMs = 15_000
const lingerMs = 1_000
/** of a session that a client may resume; its keys are replaced as often (ticket-keys.ts) */
const sessionSeconds = 12 * 60 * 60

/** RFC 8446, 5.1: the type of the record with which every handshake begins */
const handshakeRecord = 0x16

/**
 * AES-128 comes first: it takes three quarters of the time of AES-256 and has a security margin that no attack reaches. ChaCha20 is for
 * machines without AES instructions, and CBC for none. Both kinds of keys: certificates of an operator may have RSA.
 */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/** Returns what makes TLS connections. `name` keeps a session of one server from being resumed with another. */
export function tlsConnections(
  settings: TlsSettings,
  { name, events, limitMs = handshakeMs }: { name: string; events: TlsEvents; limitMs?: number },
): TlsConnections {
  // loaded only where it is needed
  const { createServer } = process.getBuiltinModule('node:tls')
  const { SSL_OP_NO_RENEGOTIATION } = process.getBuiltinModule('node:crypto').constants
  /** peer → its connection, of which the handshake is not complete */
  const pending = new Map<string, { connection: Socket; timer: NodeJS.Timeout }>()
  const optionsOf = ({ certificate, key, ticketKeys }: TlsSettings) => ({
    cert: certificate,
    key,
    ticketKeys: Buffer.from(ticketKeys, 'base64'),
    ciphers,
    honorCipherOrder: true,
    minVersion: 'TLSv1.2' as const,
    // renegotiation costs the server far more than the client (CVE-2011-1473), and no client of ours uses it
    secureOptions: SSL_OP_NO_RENEGOTIATION,
    sessionIdContext: name,
  })
  const server = createServer({
    ...optionsOf(settings),
    // HTTP/2 would send all layers through one connection, and so through one process; its attacks (CVE-2023-44487) come with it
    ALPNProtocols: ['http/1.1'],
    sessionTimeout: sessionSeconds,
    // of inactivity; the limit of the whole handshake is our own
    handshakeTimeout: limitMs,
  })
  server.on('secureConnection', connection => {
    settle(peerOf(connection))
    events.secured(connection)
  })
  server.on('tlsClientError', (error: Error & { code?: string }, connection) => {
    // one that left in the middle
    if (error.code !== 'ECONNRESET') events.failed(error, connection)
  })

  function settle(peer: string): void {
    clearTimeout(pending.get(peer)?.timer)
    pending.delete(peer)
  }

  function begin(connection: Socket): void {
    const first: Buffer | null = connection.read()
    // nothing yet, or the end: then the connection closes by itself
    if (first === null) return
    connection.removeAllListeners('readable')
    if (first[0] === handshakeRecord) {
      connection.unshift(first)
      server.emit('connection', connection)
      return
    }
    settle(peerOf(connection))
    if (!/^[A-Z]{3,8} /.test(first.toString('latin1', 0, 9))) connection.destroy()
    else refuse(connection, events.plainHttp(connection))
  }

  return {
    accept(connection) {
      const peer = peerOf(connection)
      const timer = setTimeout(() => connection.destroy(), limitMs)
      pending.set(peer, { connection, timer })
      connection.on('error', () => connection.destroy())
      connection.once('close', () => {
        if (pending.get(peer)?.connection === connection) settle(peer)
      })
      connection.on('readable', () => begin(connection))
      connection.once('end', () => connection.destroySoon())
    },
    renew(renewed) {
      server.setSecureContext(optionsOf(renewed))
    },
    close() {
      for (const { connection } of pending.values()) connection.destroy()
    },
  }
}

/** Answers in plain text, and reads on for a moment: a client that still sends when its connection is reset never sees the answer. */
function refuse(connection: Socket, answer: string): void {
  connection.end(answer)
  connection.resume()
  setTimeout(() => connection.destroy(), lingerMs).unref()
}

/** The same for a connection and the encrypted one above it; different for all that are open. */
function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
