import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

interface Seen {
  method: string
  url: string
  headers: IncomingMessage['headers']
  body: string
}

/** A local upstream that does what its handler says, and remembers what it was asked. Closed when the test ends. */
export interface Upstream {
  origin: string
  /** host:port */
  host: string
  port: number
  seen: Seen[]
  server: Server
}

export type Handler = (request: IncomingMessage, response: ServerResponse, upstream: Upstream) => void

export async function startUpstream(
  handler: Handler,
  options: { tls?: { key: string; cert: string }; address?: string } = {},
): Promise<Upstream> {
  const seen: Seen[] = []
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('error', () => {})
    response.on('error', () => {})
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8')
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body })
      handler(request, response, upstream)
    })
  }
  const server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener)
  server.on('tlsClientError', () => {})
  const address = options.address ?? '127.0.0.1'
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, address, resolve)
  })
  const { port } = server.address() as AddressInfo
  const host = `${address.includes(':') ? `[${address}]` : address}:${port}`
  const upstream: Upstream = {
    origin: `${options.tls ? 'https' : 'http'}://${host}`,
    host,
    port,
    seen,
    server,
  }
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return upstream
}

export interface Representation {
  etag?: string
  lastModified?: string
  /** answer Range with 200 and everything */
  ignoreRange?: boolean
}

/** Serves bytes as a good static server does: Range and If-Range honoured. */
export function serveBytes(
  request: IncomingMessage,
  response: ServerResponse,
  content: { bytes: Buffer } & Representation,
): void {
  const { bytes, etag, lastModified } = content
  if (etag) response.setHeader('etag', etag)
  if (lastModified) response.setHeader('last-modified', lastModified)
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
  const condition = request.headers['if-range']
  const same = condition === undefined || condition === etag || condition === lastModified
  if (range && same && !content.ignoreRange) {
    const start = Number(range[1])
    if (start >= bytes.length) {
      response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end()
      return
    }
    const end = range[2] ? Math.min(Number(range[2]) + 1, bytes.length) : bytes.length
    response.writeHead(206, {
      'content-range': `bytes ${start}-${end - 1}/${bytes.length}`,
      'content-length': end - start,
    })
    response.end(request.method === 'HEAD' ? undefined : bytes.subarray(start, end))
    return
  }
  response.writeHead(200, { 'content-length': bytes.length })
  response.end(request.method === 'HEAD' ? undefined : bytes)
}
