import { open, readFile, truncate } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { LayoutStore } from '../../src/content/layout-store.ts'
import type { ReadableStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/core/descriptor.ts'
import { createRegistryServer } from '../../src/serve/registry.ts'
import type { AccessEntry, ServerOptions } from '../../src/serve/served.ts'
import { tempFolder } from '../bundle/samples.ts'
import {
  openSocket,
  putImage,
  type Running,
  raw,
  type SampleImage,
  sampleImages,
  start,
} from '../serve/support/servers.ts'

interface Served {
  running: Running
  image: SampleImage
  store: LayoutStore
  log: AccessEntry[]
}

const large = 5_000_000 /* bytes: several pieces */
const small = 1_000 /* bytes: read whole and kept */

async function serve(options: ServerOptions = {}): Promise<Served> {
  const store = await LayoutStore.open(await tempFolder())
  const image = await putImage(store, [large, small])
  const images = sampleImages()
  images.add('app', image.repository)
  const log: AccessEntry[] = []
  const server = createRegistryServer(store, images, { ...options, log: entry => log.push(entry) })
  return { running: await start(server), image, store, log }
}

async function flipBit(store: LayoutStore, descriptor: Descriptor, offset: number): Promise<void> {
  const file = await open(store.pathOf(descriptor), 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, offset)
  byte[0]! ^= 1
  await file.write(byte, 0, 1, offset)
  await file.close()
}

function blobPath(descriptor: Descriptor): string {
  return `/v2/app/blobs/${descriptor.digest}`
}

function requestFor(path: string, headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`
}

/** Bytes of the body that arrived before the connection ended. */
function bodyOf(text: string): number {
  return text.length - (text.indexOf('\r\n\r\n') + 4)
}

async function eventually(check: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !check(); i++) await sleep(20)
  expect(check()).toBe(true)
}

describe('fault 94: slow clients', () => {
  /** Requests the blob and then reads nothing. */
  function stalled(running: Running, image: SampleImage): Socket {
    const socket = openSocket(running.port)
    socket.pause()
    socket.write(requestFor(blobPath(image.layers[0]!)))
    return socket
  }

  it('fault 94: fifty clients that read nothing, and one that reads a byte now and then, do not slow down others', async () => {
    const { running, image } = await serve()
    for (let i = 0; i < 50; i++) stalled(running, image)
    const slow = stalled(running, image)
    const sip = setInterval(() => slow.read(1), 50)
    await sleep(200)
    const started = performance.now()
    for (let i = 0; i < 5; i++) {
      const got = await running.get(blobPath(image.layers[0]!))
      expect(got.body.equals(image.layerBytes[0]!)).toBe(true)
    }
    for (let i = 0; i < 50; i++) expect((await running.get('/v2/app/manifests/1')).status).toBe(200)
    clearInterval(sip)
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it('fault 94: three hundred clients that read nothing occupy little memory', async () => {
    const store = await LayoutStore.open(await tempFolder())
    const image = await putImage(store, [24 << 20])
    const images = sampleImages()
    images.add('app', image.repository)
    const running = await start(createRegistryServer(store, images))
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 300; i++) stalled(running, image)
    // the buffers of the kernel fill up first
    let last = -1
    for (let i = 0; i < 20 && process.memoryUsage().arrayBuffers !== last; i++) {
      last = process.memoryUsage().arrayBuffers
      await sleep(250)
    }
    globalThis.gc?.()
    const grown = process.memoryUsage().arrayBuffers - before
    expect(grown).toBeLessThan(140 << 20)
    expect((await running.get('/v2/app/manifests/1')).status).toBe(200)
  })

  it('fault 94: a client that reads nothing for too long is disconnected, and logged', async () => {
    const { running, image, log } = await serve({ stallTimeoutMs: 500 })
    const socket = stalled(running, image)
    await eventually(() => log.some(entry => entry.aborted === true))
    socket.destroy()
    expect(log.find(entry => entry.aborted)).toMatchObject({ method: 'GET', status: 200, aborted: true })
  })

  it('fault 94: clients that disconnect in the middle leave nothing behind', async () => {
    const { running, image, log } = await serve()
    for (let i = 0; i < 20; i++) {
      const socket = stalled(running, image)
      // the response has started
      await new Promise(resolve => socket.once('readable', resolve))
      socket.destroy()
    }
    await eventually(() => log.length === 20)
    expect(log.filter(entry => entry.aborted)).not.toHaveLength(0)
    expect(log.filter(entry => entry.error !== undefined)).toEqual([])
    expect((await running.get(blobPath(image.layers[0]!))).body.equals(image.layerBytes[0]!)).toBe(true)
  })
})

describe('fault 95: damage to served content', () => {
  it.each([
    ['the first byte', 0],
    ['the middle', large / 2],
    ['the last byte', large - 1],
  ])('fault 95: a bit flipped at %s breaks the connection before the last byte', async (_where, offset) => {
    for (const verify of ['once', 'always'] as const) await flippedAt(offset, verify)
  })

  async function flippedAt(offset: number, verify: 'once' | 'always'): Promise<void> {
    const { running, image, store, log } = await serve({ verify })
    const layer = image.layers[0]!
    expect((await running.get(blobPath(layer))).status).toBe(200)
    await flipBit(store, layer, offset)
    const { text, closed } = await raw(running.port, requestFor(blobPath(layer)))
    expect(closed).toBe(true)
    expect(text).toContain(`content-length: ${large}`)
    expect(bodyOf(text)).toBeLessThan(large)
    await eventually(() => log.some(entry => entry.error?.includes(layer.digest)))
    expect(log.at(-1)).toMatchObject({ status: 200, aborted: true })
    // the damage is known now: nothing of the content is sent again
    expect((await running.get(blobPath(layer))).status).toBe(500)
    expect((await running.get('/v2/app/manifests/1')).status).toBe(200)
  }

  it('fault 95: a small blob and a manifest that are damaged get 500 and no content', async () => {
    const { running, image, store, log } = await serve()
    for (const [descriptor, path] of [
      [image.layers[1]!, blobPath(image.layers[1]!)],
      [image.manifest, '/v2/app/manifests/1'],
    ] as const) {
      await flipBit(store, descriptor, 5)
      const got = await running.get(path)
      expect(got.status).toBe(500)
      expect(got.body.toString()).toContain('"UNKNOWN"')
      expect(got.headers['docker-content-digest']).toBeUndefined()
    }
    expect(log.filter(entry => entry.error?.includes('digest'))).toHaveLength(2)
  })

  it.each(['once', 'always'] as const)(
    'fault 95: no range of a damaged blob completes, even where the range itself is intact (verify %s)',
    async verify => {
      const { running, image, store } = await serve({ verify })
      const layer = image.layers[0]!
      await flipBit(store, layer, large - 1)
      const range = { range: 'bytes=0-99' }
      if (verify === 'once') {
        const { text } = await raw(running.port, requestFor(blobPath(layer), 'Range: bytes=0-99\r\n'))
        expect(bodyOf(text)).toBeLessThan(100)
      }
      for (let i = 0; i < 2; i++) {
        const got = await running.get(blobPath(layer), { headers: range })
        expect(got.status).toBe(500)
      }
      // repaired, as by a new copy, it is served: a verdict is about one state of the file
      await flipBit(store, layer, large - 1)
      const got = await running.get(blobPath(layer), { headers: range })
      expect(got.status).toBe(206)
      expect(got.body.equals(image.layerBytes[0]!.subarray(0, 100))).toBe(true)
    },
  )

  it('fault 95: a blob cut short is missing; one cut short while it is sent breaks the connection', async () => {
    const { running, image, store } = await serve()
    const layer = image.layers[0]!
    const whole = await readFile(store.pathOf(layer))
    const cutting: ReadableStore = {
      exists: async () => true,
      // it is cut short when the response has long started
      open: async (d, range) => {
        if (range !== undefined && range.start > 3_000_000) await truncate(store.pathOf(d), 2_000_000)
        const bytes = await readFile(store.pathOf(d))
        return Readable.from([bytes.subarray(range?.start, range?.end)])
      },
    }
    expect(whole.length).toBe(large)
    const images = sampleImages()
    images.add('app', image.repository)
    const other = await start(createRegistryServer(cutting, images))
    const { text, closed } = await raw(other.port, requestFor(blobPath(layer)))
    expect(closed).toBe(true)
    expect(bodyOf(text)).toBeLessThan(large)
    expect((await running.get(blobPath(layer))).status).toBe(404)
  })
})
