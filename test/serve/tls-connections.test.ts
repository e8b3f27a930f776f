import { execFile } from 'node:child_process'
import { randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectPlain, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import fastify from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bind } from '../../src/serve/listen.ts'
import type { AccessEntry } from '../../src/serve/served.ts'
import { type Taking, takeConnections } from '../../src/serve/taking.ts'
import type { TlsSettings } from '../../src/serve/tls-connections.ts'
import { testCertificate } from '../site/support/certificates.ts'

const ca = testCertificate()

function settings(name = '127.0.0.1', ticketKeys = randomBytes(48).toString('base64')): TlsSettings {
  const { certificate, keyText } = testCertificate({ issuer: ca, names: [name, 'localhost', '127.0.0.1'] })
  return { certificate, key: keyText, ticketKeys }
}

interface Server {
  port: number
  taking: Taking
  log: AccessEntry[]
  close(): Promise<void>
}

async function served(
  tls: TlsSettings = settings(),
  { handshakeMs, maxConnections = 10_000 }: { handshakeMs?: number; maxConnections?: number } = {},
): Promise<Server> {
  const server = fastify({ forceCloseConnections: 'idle' })
  server.server.maxConnections = maxConnections
  server.get('/', async request => `hello ${request.socket.remoteAddress}`)
  server.get('/slow', async (_, reply) => {
    reply.raw.write('begun ')
    await sleep(300)
    reply.raw.end('ended')
    return reply.hijack()
  })
  const log: AccessEntry[] = []
  const taking = await takeConnections(server, {
    tls: {
      settings: tls,
      url: 'https://site.example:1',
      log: entry => log.push(entry),
      ...(handshakeMs === undefined ? {} : { handshakeMs }),
    },
  })
  const { port, close } = await bind({ host: '127.0.0.1', port: 0 }, { accept: taking.take, paused: true })
  const stop = async () => {
    close()
    await taking.close({ graceMs: 500 })
  }
  onTestFinished(stop)
  return { port, taking, log, close: stop }
}

async function opened(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ca: ca.certificate, ...options })
  onTestFinished(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

async function answerOf(socket: Socket, path = '/'): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

const presented = (socket: TLSSocket) =>
  new X509Certificate(socket.getPeerCertificate(false).raw).fingerprint256

async function opensslClient(port: number, args: string[], input = ''): Promise<string> {
  return await new Promise(resolve => {
    const command = ['s_client', '-connect', `127.0.0.1:${port}`, ...args]
    const child = execFile('openssl', command, { timeout: 5_000 }, (_, stdout, stderr) =>
      resolve(stdout + stderr),
    )
    child.stdin?.on('error', () => {})
    child.stdin?.write(input)
    setTimeout(() => child.stdin?.end(), 500)
  })
}

describe('connections with TLS', () => {
  it('are answered in TLS 1.2 and 1.3, with AES-128 first, and without SNI', async () => {
    const { port } = await served()
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await opened(port, { minVersion: version, maxVersion: version })
      expect(socket.getProtocol()).toBe(version)
      expect(socket.getCipher().name).toContain(
        'AES_128_GCM'.replaceAll('_', version === 'TLSv1.2' ? '-' : '_').replace('AES-128', 'AES128'),
      )
      expect(await answerOf(socket)).toContain('hello 127.0.0.1')
    }
    expect(await opensslClient(port, ['-noservername'])).toContain('SSL handshake has read')
  })

  it('are refused below TLS 1.2, and the server stays well', async () => {
    const { port, log } = await served()
    for (const version of ['-tls1', '-tls1_1'])
      expect(await opensslClient(port, [version, '-cipher', 'ALL:@SECLEVEL=0'])).toMatch(
        /alert protocol version|no protocols available/,
      )
    expect(await answerOf(await opened(port))).toContain('hello')
    expect(log.every(({ status }) => status === 400)).toBe(true)
  })

  it('are HTTP/1.1 for clients that choose, and none for those that know HTTP/2 only', async () => {
    const { port } = await served()
    expect((await opened(port, { ALPNProtocols: ['h2', 'http/1.1'] })).alpnProtocol).toBe('http/1.1')
    await expect(opened(port, { ALPNProtocols: ['h2'] })).rejects.toThrow(/application protocol/)
  })

  it('are not renegotiated', async () => {
    const { port } = await served()
    const said = await opensslClient(port, ['-tls1_2'], 'R\n')
    expect(said).toMatch(/RENEGOTIATING/)
    expect(said).toMatch(/no renegotiation/)
  })

  it('are closed where the handshake takes too long, byte by byte as well', async () => {
    const { port, taking } = await served(settings(), { handshakeMs: 2_000 })
    const silent = Array.from({ length: 300 }, () => connectPlain(port, '127.0.0.1'))
    const dripping = connectPlain(port, '127.0.0.1')
    for (const socket of [...silent, dripping]) socket.on('error', () => {})
    const drip = setInterval(() => dripping.write(Buffer.of(0x16)), 50)
    onTestFinished(() => clearInterval(drip))
    await expect.poll(() => taking.open()).toBe(301)
    expect(await answerOf(await opened(port))).toContain('hello')
    await Promise.all(
      [...silent, dripping].map(async socket => socket.destroyed || (await once(socket, 'close'))),
    )
    await expect.poll(() => taking.open()).toBe(0)
  })

  it('count from the first byte on, so that handshakes cannot exceed the limit of connections', async () => {
    const { port, taking } = await served(settings(), { maxConnections: 5 })
    const silent = Array.from({ length: 8 }, () => connectPlain(port, '127.0.0.1'))
    for (const socket of silent) socket.on('error', () => {})
    await sleep(150)
    expect(taking.open()).toBe(5)
    for (const socket of silent) socket.destroy()
    await sleep(50)
    expect(await answerOf(await opened(port))).toContain('hello')
  })

  it('resume a session with another process that has the same keys for tickets, and not with other keys', async () => {
    const keys = randomBytes(48).toString('base64')
    const [one, two, other] = await Promise.all([
      served(settings('127.0.0.1', keys)),
      served(settings('127.0.0.1', keys)),
      served(),
    ])
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const only = { minVersion: version, maxVersion: version }
      const first = connect({ port: one.port, host: '127.0.0.1', ca: ca.certificate, ...only })
      const session = once(first, 'session')
      await answerOf(first)
      const [ticket] = (await session) as [Buffer]
      expect((await opened(two.port, { ...only, session: ticket })).isSessionReused()).toBe(true)
      expect((await opened(other.port, { ...only, session: ticket })).isSessionReused()).toBe(false)
    }
  })

  it('get a renewed certificate, while those that are open continue', async () => {
    const { port, taking } = await served()
    const before = await opened(port)
    const old = presented(before)
    const answer = answerOf(before, '/slow')
    await sleep(50)
    const renewed = settings()
    taking.renewTls(renewed)
    const after = await opened(port)
    expect(presented(after)).toBe(new X509Certificate(renewed.certificate).fingerprint256)
    expect(await answer).toContain('ended')
    expect(old).not.toBe(presented(after))
  })

  it('end their answers when the server is closed, and handshakes end at once', async () => {
    const { port, close } = await served()
    const halfOpen = connectPlain(port, '127.0.0.1')
    const idle = await opened(port)
    const busy = answerOf(await opened(port), '/slow')
    await sleep(50)
    const closing = close()
    await Promise.all([once(halfOpen, 'close'), once(idle, 'close')])
    expect(await busy).toContain('ended')
    await closing
  })
})
