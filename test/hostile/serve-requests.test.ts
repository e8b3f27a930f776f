import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MemoryStore } from '../../src/content/memory-store.ts'
import { createHttpServer } from '../../src/serve/files.ts'
import { listen } from '../../src/serve/listen.ts'
import { createRegistryServer } from '../../src/serve/registry.ts'
import type { AccessEntry, ServerOptions } from '../../src/serve/served.ts'
import {
  openSocket,
  putImage,
  type Running,
  raw,
  type SampleImage,
  sampleImages,
  start,
  treeOf,
} from '../serve/support/servers.ts'

async function registry(options: ServerOptions = {}): Promise<{ running: Running; image: SampleImage }> {
  const store = new MemoryStore()
  const image = await putImage(store, [1_000, 600_000, 0])
  const images = sampleImages()
  images.add('nvidia/gpu-operator', image.repository)
  return { running: await start(createRegistryServer(store, images, options)), image }
}

async function files(options: ServerOptions = {}): Promise<Running> {
  const store = new MemoryStore()
  const entries = await treeOf(store, { 'a.txt': 'hello', 'empty.bin': '' })
  return start(createHttpServer(store, [{ prefix: '/files', entries }], options))
}

function statusesOf(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(match => Number(match[1]))
}

async function stillServes(running: Running, path: string): Promise<void> {
  expect((await running.get(path)).status).toBe(200)
}

describe('fault 85: unavailable ports and addresses', () => {
  const server = () => createRegistryServer(new MemoryStore(), sampleImages())

  it('fault 85: a port in use names the port and the process that holds it', async () => {
    const holder = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void holder.close())
    await new Promise(resolve => holder.once('listening', resolve))
    const address = holder.address()
    if (address === null || typeof address === 'string') throw new TypeError('no port')
    await expect(listen(server(), { host: '127.0.0.1', port: address.port })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      exitCode: 7,
      message: `port ${address.port} is in use`,
      likely: expect.stringContaining(`process ${process.pid}`),
    })
  })

  it('fault 85: an address that the host does not have, and an invalid one', async () => {
    for (const host of ['192.0.2.77', '300.1.1.1'])
      await expect(listen(server(), { host, port: 0 })).rejects.toMatchObject({
        code: 'ADDRESS_UNAVAILABLE',
        exitCode: 7,
      })
    await expect(listen(server(), { host: '127.0.0.1', port: 70_000 })).rejects.toMatchObject({ exitCode: 2 })
  })
})

const traversals = [
  '/files/../../etc/passwd',
  '/../etc/passwd',
  '/files/..%2f..%2fetc/passwd',
  '/files/%2e%2e/%2e%2e/etc/passwd',
  '/files/.%2e/a.txt',
  '/files/%252e%252e/%252e%252e/etc/passwd',
  '/files/..%5c..%5cetc%5cpasswd',
  '/files/..\\..\\etc\\passwd',
  '/files/%c0%ae%c0%ae/etc/passwd',
  '/files/..%c0%af..%c0%afetc/passwd',
  '/files/%uff0e%uff0e/etc/passwd',
  '/files/a.txt%00.html',
  '/files/a.txt%0d%0aX-Injected:%201',
  '/files//etc/passwd',
  '//etc/passwd',
  '/files/....//....//etc/passwd',
  '/files/..;/etc/passwd',
  '/files/%',
  '/files/%zz',
  'file:///etc/passwd',
  '*',
]

describe('fault 86: traversal', () => {
  it.each(traversals)('fault 86: the file server refuses %s', async path => {
    const running = await files()
    const { text } = await raw(running.port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1\.1 40[04] /)
    expect(text).not.toContain('root:')
    expect(text).not.toMatch(/^X-Injected/im)
    await stillServes(running, '/files/a.txt')
  })

  it('fault 86: every registry route refuses it', async () => {
    const { running } = await registry()
    const parts = ['..', '%2e%2e', '..%2f..', '%252e%252e', '..%5c', '%00', 'a%0d%0ab', '']
    for (const part of parts)
      for (const path of [
        `/v2/${part}/manifests/1`,
        `/v2/nvidia/${part}/gpu-operator/blobs/1`,
        `/v2/nvidia/gpu-operator/manifests/${part}`,
        `/v2/nvidia/gpu-operator/blobs/${part}`,
        `/v2/nvidia/gpu-operator/referrers/${part}`,
        `/v2/${part}/tags/list`,
        `/${part}/v2/`,
      ]) {
        const { text } = await raw(
          running.port,
          `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
        )
        expect([path, statusesOf(text)[0]]).toSatisfy(([, status]) => status === 400 || status === 404)
      }
    await stillServes(running, '/v2/')
  })

  it('fault 86: the redirect to a folder never leaves the server', async () => {
    const running = await files()
    for (const path of [
      '//example.com/files',
      '/\\example.com',
      '/%2f%2fexample.com/..',
      '/files/..//example.com',
    ]) {
      const { text } = await raw(running.port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      expect(text).not.toMatch(/^HTTP\/1\.1 3/)
    }
  })
})

describe('fault 87: requests too large', () => {
  it.each([
    ['a header of 1 MB', `GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Big: ${'a'.repeat(1 << 20)}\r\n\r\n`],
    ['a URL of 100 KB', `GET /v2/${'a/'.repeat(50_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
    [
      '10,000 headers',
      `GET /v2/ HTTP/1.1\r\nHost: x\r\n${Array.from({ length: 10_000 }, (_, i) => `X-${i}: 1`).join('\r\n')}\r\n\r\n`,
    ],
  ])('fault 87: %s is refused, and the server continues', async (_what, request) => {
    const { running } = await registry()
    const { text, closed } = await raw(running.port, request)
    expect(closed).toBe(true)
    // the response may be lost where the client is still sending when it is disconnected
    if (text !== '') expect(text).toMatch(/^HTTP\/1\.1 4(00|14|31) /)
    await stillServes(running, '/v2/')
  })

  it('fault 87: a URL just within the limit, a long name and a long reference are plain 4xx', async () => {
    const { running } = await registry()
    for (const path of [
      `/v2/${'a/'.repeat(6_000)}manifests/1`,
      `/v2/nvidia/gpu-operator/manifests/${'t'.repeat(12_000)}`,
      `/v2/_catalog?n=${'9'.repeat(12_000)}`,
    ]) {
      const { status } = await running.get(path)
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(500)
    }
  })
})

describe('fault 88: clients that hold connections', () => {
  it('fault 88: a request whose headers never end is cut off; others are served meanwhile', async () => {
    const log: AccessEntry[] = []
    const { running } = await registry({ headersTimeoutMs: 600, log: entry => log.push(entry) })
    const socket = openSocket(running.port)
    const closed = new Promise(resolve => socket.once('close', resolve))
    socket.resume()
    socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n')
    const drip = setInterval(() => socket.write('X: 1\r\n'), 100)
    onTestFinished(() => clearInterval(drip))
    await stillServes(running, '/v2/')
    await Promise.race([closed, sleep(5_000).then(() => expect.fail('the connection is still open'))])
    expect(log.map(entry => entry.status)).toContain(408)
  })

  it('fault 88: a silent connection is closed', async () => {
    const { running } = await registry({ headersTimeoutMs: 600 })
    const socket = openSocket(running.port)
    socket.resume()
    const closed = new Promise(resolve => socket.once('close', resolve))
    await Promise.race([closed, sleep(5_000).then(() => expect.fail('the connection is still open'))])
  })

  it('fault 88: a thousand idle connections do not lock out others', async () => {
    const { running } = await registry()
    const sockets = Array.from({ length: 1_000 }, () => openSocket(running.port))
    await Promise.all(sockets.map(socket => new Promise(resolve => socket.once('connect', resolve))))
    const started = performance.now()
    await stillServes(running, '/v2/nvidia/gpu-operator/manifests/1')
    expect(performance.now() - started).toBeLessThan(1_000)
  })

  it('fault 88: connections over the limit are refused, and accepted again once others have ended', async () => {
    const { running } = await registry({ maxConnections: 3 })
    const sockets = Array.from({ length: 3 }, () => openSocket(running.port))
    await Promise.all(sockets.map(socket => new Promise(resolve => socket.once('connect', resolve))))
    await sleep(50)
    await expect(running.get('/v2/')).rejects.toThrow()
    for (const socket of sockets) socket.destroy()
    await sleep(50)
    await stillServes(running, '/v2/')
  })
})

describe('fault 89: request smuggling', () => {
  const smuggled = 'GET /v2/nvidia/gpu-operator/tags/list HTTP/1.1\r\nHost: x\r\n\r\n'
  it.each([
    ['two lengths', `Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`],
    ['a list of lengths', `Content-Length: 0, ${smuggled.length}\r\n\r\n${smuggled}`],
    ['a length and chunks', `Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
    ['chunks and a length', `Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${smuggled}`],
    ['an unknown coding', `Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`],
    ['chunked, but not last', `Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`],
    ['a blank before the colon', `Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${smuggled}`],
    ['a bare line feed', `X: 1\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
    ['a signed length', `Content-Length: +0\r\n\r\n${smuggled}`],
    ['a folded header', `X: 1\r\n Content-Length: 5\r\n\r\n${smuggled}`],
  ])('fault 89: %s is refused, and what follows is not read as a request', async (_what, rest) => {
    const { running } = await registry()
    for (const method of ['GET', 'POST']) {
      const { text, closed } = await raw(running.port, `${method} /v2/ HTTP/1.1\r\nHost: x\r\n${rest}`)
      expect(closed).toBe(true)
      const statuses = statusesOf(text)
      expect(statuses.at(-1)).toBe(400)
      // a method may be refused before the parser reaches the damage; nothing after it is ever answered
      expect(statuses.slice(0, -1).filter(status => status !== 405)).toEqual([])
      expect(text).not.toContain('"tags"')
    }
  })

  it('fault 89: an unread body ends the connection', async () => {
    const { running } = await registry()
    const request = `POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: ${smuggled.length}\r\n\r\n`
    const { text, closed } = await raw(running.port, `${request}${smuggled}`)
    expect(closed).toBe(true)
    expect(statusesOf(text)).toEqual([405])
  })
})

describe('fault 90: HEAD and ranges', () => {
  it('fault 90: on files and blobs, small, large and empty', async () => {
    const { running, image } = await registry()
    for (const [i, layer] of image.layers.entries()) {
      const path = `/v2/nvidia/gpu-operator/blobs/${layer.digest}`
      const bytes = image.layerBytes[i]!
      const { size } = layer
      const ask = async (range: string) => {
        const { status, body, headers } = await running.get(path, { headers: { range } })
        return { status, same: body.equals(bytes), body, range: headers['content-range'] }
      }
      const head = await running.get(path, { method: 'HEAD', headers: { range: 'bytes=0-0' } })
      expect([head.status, head.headers['content-length']]).toEqual([200, String(size)])
      for (const ignored of ['bytes=0-0,2-2', 'bytes=0-,0-,0-,0-', 'lines=1-2', 'bytes=a'])
        expect(await ask(ignored)).toMatchObject({ status: 200, same: true })
      for (const wrong of [`bytes=${size}-`, 'bytes=5-4', 'bytes=-0', 'bytes=99999999999-'])
        expect(await ask(wrong)).toMatchObject({ status: 416, range: `bytes */${size}` })
      const suffix = await ask('bytes=-7')
      if (size === 0) expect(suffix.status).toBe(416)
      else {
        expect([suffix.status, suffix.range]).toEqual([206, `bytes ${size - 7}-${size - 1}/${size}`])
        expect(suffix.body.equals(bytes.subarray(-7))).toBe(true)
        expect(await ask('bytes=0-99999999')).toMatchObject({ status: 206, same: true })
        expect(await ask('bytes=-99999999')).toMatchObject({ status: 206, same: true })
      }
    }
  })

  it('fault 90: an empty file is served completely', async () => {
    const running = await files()
    const got = await running.get('/files/empty.bin')
    expect([got.status, got.body.length, got.headers['content-length']]).toEqual([200, 0, '0'])
  })
})

it.each([
  ['upper case', 'NVIDIA/gpu-operator'],
  ['300 characters', 'a'.repeat(300)],
  ['256 characters in parts', `${'a'.repeat(127)}/${'b'.repeat(128)}`],
  ['..', 'nvidia/../gpu-operator'],
  ['a part that begins with a dot', 'nvidia/.hidden'],
  ['a part that ends with a dash', 'nvidia/gpu-'],
  ['an empty part', 'nvidia//gpu-operator'],
  ['non-ASCII letters', '%ED%95%9C%EA%B8%80'],
  ['a prototype', '__proto__'],
  ['a blank', 'a%20b'],
])('fault 91: a repository name with %s gets NAME_INVALID', async (_what, name) => {
  const { running } = await registry()
  for (const rest of ['manifests/1', 'tags/list', `blobs/sha256:${'0'.repeat(64)}`]) {
    const { text } = await raw(
      running.port,
      `GET /v2/${name}/${rest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    )
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
    expect(text).toContain('NAME_INVALID')
  }
})

it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'] as const)(
  'fault 92: %s gets 405 everywhere, with and without a body, never 500',
  async method => {
    const { running, image } = await registry()
    const http = await files()
    for (const path of [
      '/v2/',
      '/v2/nvidia/gpu-operator/blobs/uploads/',
      '/v2/nvidia/gpu-operator/manifests/1',
      `/v2/nvidia/gpu-operator/blobs/${image.layers[0]!.digest}`,
      '/v2/new/app/manifests/latest',
    ])
      for (const body of ['', '{"a":', '\u0000'.repeat(100_000)]) {
        const request = `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
        const { text } = await raw(running.port, request)
        expect(text).toMatch(/^HTTP\/1\.1 405 /)
        expect(text).toMatch(/^allow: GET, HEAD/im)
        expect(text).toContain('"UNSUPPORTED"')
      }
    const { text } = await raw(
      http.port,
      `${method} /files/a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    )
    expect(text).toMatch(/^HTTP\/1\.1 405 /)
  },
)
