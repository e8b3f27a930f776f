import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MemoryStore } from '../../src/content/memory-store.ts'
import type { ReadableStore } from '../../src/content/store.ts'
import { listen } from '../../src/serve/listen.ts'
import { localVerdicts } from '../../src/serve/local-verdicts.ts'
import { listeningInodes } from '../../src/serve/port-holder.ts'
import { createRegistryServer } from '../../src/serve/registry.ts'
import type { AccessEntry } from '../../src/serve/served.ts'
import { smallCache } from '../../src/serve/small-cache.ts'

import { noise } from '../bundle/samples.ts'
import { openSocket, put, putImage, raw, sampleImages, start } from './support/servers.ts'

async function sample() {
  const store = new MemoryStore()
  const image = await putImage(store, [20_000_000, 100])
  const images = sampleImages()
  images.add('app', image.repository)
  return { store, image, images }
}

describe('the access log', () => {
  it('has one entry per request, with the bytes sent', async () => {
    const { store, image, images } = await sample()
    const log: AccessEntry[] = []
    const running = await start(createRegistryServer(store, images, { log: entry => log.push(entry) }))
    await running.get('/v2/app/manifests/1?ns=x', { headers: { 'user-agent': 'containerd/1.7' } })
    await running.get(`/v2/app/blobs/${image.layers[0]!.digest}`)
    await running.get(`/v2/app/blobs/${image.layers[0]!.digest}`, { method: 'HEAD' })
    await running.get('/v2/app/manifests/1', { method: 'PUT' })
    await running.get('/v2/%zz')
    await raw(running.port, 'nonsense\r\n\r\n')
    expect(log.map(({ method, status }) => `${method} ${status}`)).toEqual([
      'GET 404',
      'GET 200',
      'HEAD 200',
      'PUT 405',
      'GET 400',
      ' 400',
    ])
    expect(log[0]).toMatchObject({
      url: '/v2/app/manifests/1?ns=x',
      userAgent: 'containerd/1.7',
      remoteAddress: '127.0.0.1',
    })
    expect(log[1]).toMatchObject({ bytes: 20_000_000 })
    expect(log[1]).not.toHaveProperty('aborted')
    expect(log[2]).toMatchObject({ bytes: 0 })
    expect(log[5]).toHaveProperty('error')
  })

  it('keeps only a line of a request', async () => {
    const { store, images } = await sample()
    const log: AccessEntry[] = []
    const running = await start(createRegistryServer(store, images, { log: entry => log.push(entry) }))
    await running.get(`/v2/${'a'.repeat(9_000)}`, { headers: { 'user-agent': 'u'.repeat(5_000) } })
    expect(log[0]?.url).toHaveLength(1_000)
    expect(log[0]?.userAgent).toHaveLength(200)
  })
})

describe('a request', () => {
  it.each(['GET', 'HEAD', 'PUT'])('with two Host headers is refused (%s)', async method => {
    const { store, images } = await sample()
    const running = await start(createRegistryServer(store, images))
    const ask = async (hosts: string) =>
      (await raw(running.port, `${method} /v2/ HTTP/1.1\r\n${hosts}Connection: close\r\n\r\n`)).text
    expect(await ask('Host: a\r\n')).toMatch(method === 'PUT' ? /^HTTP\/1\.1 405/ : /^HTTP\/1\.1 200/)
    expect(await ask('Host: a\r\nhost: b\r\n')).toMatch(/^HTTP\/1\.1 400/)
    expect(await ask('Host: a\r\nHost: a\r\n')).toMatch(/^HTTP\/1\.1 400/)
  })
})

describe('listen', () => {
  it('completes an answer in flight, and accepts no new connection', async () => {
    const { store, image, images } = await sample()
    const listening = await listen(createRegistryServer(store, images), { host: '127.0.0.1', port: 0 })
    onTestFinished(() => listening.close({ graceMs: 0 }))
    const socket = openSocket(listening.port)
    let received = 0
    const begun = new Promise<void>(resolve => {
      socket.on('data', chunk => {
        received += chunk.length
        resolve()
      })
    })
    socket.write(`GET /v2/app/blobs/${image.layers[0]!.digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await begun
    socket.pause()
    const closing = listening.close({ graceMs: 10_000 })
    await sleep(200)
    socket.resume()
    const started = performance.now()
    const ended = new Promise(resolve => socket.once('close', resolve))
    await closing
    // a connection that is idle after its answer is not waited for
    expect(performance.now() - started).toBeLessThan(5_000)
    await ended
    expect(received).toBeGreaterThan(20_000_000)
    const late = openSocket(listening.port)
    await new Promise(resolve => late.once('close', resolve))
  })

  it('closes connections after the grace period', async () => {
    const { store, image, images } = await sample()
    const listening = await listen(createRegistryServer(store, images), { host: '127.0.0.1', port: 0 })
    const socket = openSocket(listening.port)
    socket.pause()
    socket.write(`GET /v2/app/blobs/${image.layers[0]!.digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await sleep(200)
    const started = performance.now()
    await listening.close({ graceMs: 300 })
    expect(performance.now() - started).toBeLessThan(3_000)
  })

  it('reads the sockets of a port from the table of the kernel', () => {
    const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:88B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0
   1: 0100007F:88B8 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0
   2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0`
    expect(listeningInodes(table, 35_000)).toEqual(['4711'])
    expect(listeningInodes(table, 8080)).toEqual(['4713'])
    expect(listeningInodes(table, 80)).toEqual([])
  })
})

describe('smallCache', () => {
  async function counting() {
    const memory = new MemoryStore()
    const blobs = await Promise.all([1, 2, 3, 4].map(seed => put(memory, noise(1_000, seed))))
    let reads = 0
    const store: ReadableStore = {
      exists: d => memory.exists(d),
      open: (d, range) => {
        reads++
        return memory.open(d, range)
      },
    }
    return { store, blobs, reads: () => reads }
  }

  it('reads content once for repeated and for simultaneous requests', async () => {
    const { store, blobs, reads } = await counting()
    const cache = smallCache(store, { limit: 10_000, verdicts: localVerdicts(store) })
    await Promise.all(Array.from({ length: 20 }, () => cache.read(blobs[0]!)))
    await cache.read(blobs[0]!)
    expect(reads()).toBe(1)
  })

  it('evicts the least recently used content', async () => {
    const { store, blobs, reads } = await counting()
    const cache = smallCache(store, { limit: 2_500, verdicts: localVerdicts(store) })
    const [a, b, c] = blobs
    for (const blob of [a, b, a, c, a]) await cache.read(blob!)
    expect(reads()).toBe(3)
    await cache.read(b!)
    expect(reads()).toBe(4)
  })

  it('caches neither a failure nor content for a descriptor of another size', async () => {
    const { store, blobs } = await counting()
    const cache = smallCache(store, { limit: 10_000, verdicts: localVerdicts(store) })
    await cache.read(blobs[0]!)
    await expect(cache.read({ ...blobs[0]!, size: 999 })).rejects.toMatchObject({ code: 'SIZE_MISMATCH' })
    expect(await cache.read(blobs[0]!)).toHaveLength(1_000)
  })
})
