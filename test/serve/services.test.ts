import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MemoryStore } from '../../src/content/memory-store.ts'
import { AirgapError } from '../../src/core/errors.ts'
import { createHttpServer } from '../../src/serve/files.ts'
import type { AccessEntry, Service } from '../../src/serve/served.ts'

async function serving(service: Service) {
  const log: AccessEntry[] = []
  const generated = new Map([['say', { bytes: Buffer.from('a file'), mediaType: 'text/plain' }]])
  const mounts = [{ prefix: '/x', generated, services: new Map([['say', service]]) }]
  const server = createHttpServer(new MemoryStore(), mounts, { log: entry => log.push(entry) })
  await server.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => server.close())
  const address = server.server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  return { url, log }
}

/** Repeats what it is sent; a GET only with `?loud`. */
const echo: Service = {
  async answer({ method, query, body, headers }) {
    if (method === 'GET')
      return query.has('loud') ? { mediaType: 'text/plain', body: Buffer.from('LOUD') } : undefined
    return {
      mediaType: 'text/plain',
      body: Buffer.concat([Buffer.from(`${headers['x-name'] ?? ''}:`), body]),
    }
  },
}

describe('a service', () => {
  it('answers a GET and a HEAD where it has an answer; else the file at its path does', async () => {
    const { url } = await serving(echo)
    expect(await (await fetch(`${url}/x/say`)).text()).toBe('a file')
    expect(await (await fetch(`${url}/x/say?loud`)).text()).toBe('LOUD')
    expect((await fetch(`${url}/x/say?loud`, { method: 'HEAD' })).headers.get('content-length')).toBe('4')
  })

  it('is sent the body of a POST, unpacked, with its headers', async () => {
    const { url } = await serving(echo)
    const post = async (body: Uint8Array | string, headers: Record<string, string> = {}) =>
      await (await fetch(`${url}/x/say`, { method: 'POST', body, headers })).text()
    expect(await post('hello', { 'x-name': 'me' })).toBe('me:hello')
    expect(await post('', { 'content-type': 'application/json' })).toBe(':')
    expect(await post('{"not": "parsed"', { 'content-type': 'application/json' })).toBe(':{"not": "parsed"')
    expect(await post(gzipSync('hello'), { 'content-encoding': 'gzip' })).toBe(':hello')
  })

  it.each([
    ['too large', Buffer.alloc(9 << 20), {}],
    ['too large once it is unpacked', gzipSync(Buffer.alloc(9 << 20)), { 'content-encoding': 'gzip' }],
    ['damaged', Buffer.from('no gzip'), { 'content-encoding': 'gzip' }],
    ['of an unknown encoding', Buffer.from('x'), { 'content-encoding': 'zstd' }],
  ])('never sees a body that is %s', async (_what, body, headers) => {
    const { url } = await serving(echo)
    expect((await fetch(`${url}/x/say`, { method: 'POST', body, headers })).status).toBe(400)
  })

  it('refuses bodies that together would fill the memory, and works again once their clients have left', async () => {
    const { url } = await serving(echo)
    const { port } = new URL(url)
    const head = `POST /x/say HTTP/1.1\r\nHost: x\r\nContent-Length: ${8 << 20}\r\n\r\n`
    const part = Buffer.alloc((8 << 20) - 1)
    let refused = 0
    const sockets = Array.from({ length: 20 }, () => {
      const socket = connect(Number(port), '127.0.0.1')
      socket
        .on('error', () => {})
        .on('data', data => {
          if (data.toString().startsWith('HTTP/1.1 409')) refused++
        })
      socket.write(head)
      socket.write(part)
      return socket
    })
    const post = async () =>
      (await fetch(`${url}/x/say`, { method: 'POST', body: 'x'.repeat(1 << 20) })).status
    await expect.poll(() => refused, { timeout: 20_000 }).toBeGreaterThan(2)
    for (const socket of sockets) socket.destroy()
    await expect.poll(post, { timeout: 20_000 }).toBe(200)
  })

  it('is the only thing that takes a POST', async () => {
    const { url } = await serving(echo)
    for (const path of ['/', '/x', '/x/', '/x/none', '/x//say'])
      expect((await fetch(`${url}${path}`, { method: 'POST', body: 'x' })).status, path).toBe(405)
    expect((await fetch(`${url}/x/say`, { method: 'PUT', body: 'x' })).status).toBe(405)
  })

  it('has its errors answered like all others', async () => {
    const refusal = new AirgapError('METHOD_NOT_ALLOWED', 'reading only', { item: 'push' })
    const { url } = await serving({ answer: () => Promise.reject(refusal) })
    const answer = await fetch(`${url}/x/say`, { method: 'POST', body: 'x' })
    expect([answer.status, await answer.text()]).toEqual([405, 'reading only: push\n'])
  })

  it('that fails in the middle breaks the connection, and the access log says why', async () => {
    async function* broken() {
      yield Buffer.from('the beginning')
      await new Promise(resolve => setTimeout(resolve, 50))
      throw new Error('the digest is wrong')
    }
    const { url, log } = await serving({ answer: async () => ({ mediaType: 'text/plain', body: broken() }) })
    await expect(fetch(`${url}/x/say`).then(answer => answer.text())).rejects.toThrow()
    await expect.poll(() => log).toMatchObject([{ bytes: 13, aborted: true, error: 'the digest is wrong' }])
  })
})
