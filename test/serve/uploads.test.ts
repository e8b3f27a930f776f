import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/core/digest.ts'
import { overlayClient } from '../../src/overlay/client.ts'
import { openOverlay } from '../../src/overlay/overlay.ts'
import { overlayStore } from '../../src/overlay/overlay-store.ts'
import { createRegistryServer } from '../../src/serve/registry.ts'
import { noise, tempFolder } from '../bundle/samples.ts'
import { overlayServer } from './support/overlay.ts'
import { codesOf, pushBlob, send } from './support/pushes.ts'
import { type Running, sampleImages, start } from './support/servers.ts'

const bytes = noise(1_500_000, 5)
const digest = digestOf(bytes)
const half = 800_001

async function begin(running: { origin: string }, name = 'team/app'): Promise<string> {
  const got = await send(running, `/v2/${name}/blobs/uploads/`, { method: 'POST' })
  expect([got.status, got.headers.get('range')]).toEqual([202, '0-0'])
  expect(Number(got.headers.get('oci-chunk-min-length'))).toBeGreaterThan(0)
  return got.headers.get('location')!
}

async function patch(
  running: { origin: string },
  location: string,
  { from, to }: { from: number; to: number },
) {
  return await send(running, location, {
    method: 'PATCH',
    body: bytes.subarray(from, to),
    headers: { 'content-range': `${from}-${to - 1}` },
  })
}

async function finish(running: { origin: string }, location: string) {
  return await send(running, `${location}?digest=${digest}`, { method: 'PUT' })
}

async function pulled(running: Running, name = 'team/app'): Promise<boolean> {
  return (await running.get(`/v2/${name}/blobs/${digest}`)).body.equals(bytes)
}

/** Two servers over one overlay, as two serving processes of a site. */
async function twoServers(): Promise<[Running, Running]> {
  const folder = await tempFolder()
  const owner = await openOverlay(folder)
  const server = async () => {
    const overlay = overlayClient(owner, { folder })
    return await start(createRegistryServer(overlayStore(folder), sampleImages(), { overlay }))
  }
  return [await server(), await server()]
}

/** Sends the head of a PATCH and a part of its body, and stays connected until the function that it returns is called. */
async function stuck({ port }: Running, location: string, part: Buffer): Promise<() => void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(`PATCH ${location} HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes.length}\r\n\r\n`)
  await new Promise(resolve => socket.write(part, resolve))
  return () => socket.destroy()
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(10)
}

describe('an upload', () => {
  it('in chunks is refused out of order, with where it continues', async () => {
    const running = await start((await overlayServer(await tempFolder())).server)
    const location = await begin(running)
    expect((await patch(running, location, { from: 0, to: half })).headers.get('range')).toBe(`0-${half - 1}`)
    for (const from of [half - 1, half + 1, 0]) {
      const got = await patch(running, location, { from, to: bytes.length })
      expect([got.status, codesOf(got.text), got.headers.get('range'), got.headers.get('location')]).toEqual([
        416,
        ['BLOB_UPLOAD_INVALID'],
        `0-${half - 1}`,
        location,
      ])
    }
    for (const range of ['x', '5-1', `${half}-${bytes.length}`]) {
      const headers = { 'content-range': range }
      const got = await send(running, location, { method: 'PATCH', body: bytes.subarray(half), headers })
      expect(got.status, range).toBe(416)
    }
    await patch(running, location, { from: half, to: bytes.length })
    const got = await finish(running, location)
    expect([got.status, got.headers.get('docker-content-digest')]).toEqual([201, digest])
    expect(await pulled(running)).toBe(true)
    expect((await send(running, location, { method: 'GET' })).status).toBe(404)
  })

  it('ends with a last chunk, or with all of it', async () => {
    const running = await start((await overlayServer(await tempFolder())).server)
    for (const from of [half, 0]) {
      const name = `team/app-${from}`
      const location = await begin(running, name)
      if (from > 0) await patch(running, location, { from: 0, to: from })
      const body = bytes.subarray(from)
      expect((await send(running, `${location}?digest=${digest}`, { method: 'PUT', body })).status).toBe(201)
      expect(await pulled(running, name)).toBe(true)
    }
  })

  it('may continue in another process at every request', async () => {
    const [one, two] = await twoServers()
    const location = await begin(one)
    for (let from = 0; from < bytes.length; from += 200_000) {
      const to = Math.min(bytes.length, from + 200_000)
      expect((await patch(from % 400_000 === 0 ? two : one, location, { from, to })).status).toBe(202)
    }
    expect((await finish(two, location)).status).toBe(201)
    expect(await pulled(one)).toBe(true)
  })

  it('has one writer at a time, in whichever process', async () => {
    const [one, two] = await twoServers()
    const location = await begin(one)
    const leave = await stuck(one, location, bytes.subarray(0, 10_000))
    const attempt = () => send(two, location, { method: 'PATCH', body: 'x' })
    await until(async () => (await attempt()).status === 409)
    const got = await finish(two, location)
    expect([got.status, codesOf(got.text)]).toEqual([409, ['BLOB_UPLOAD_INVALID']])
    expect((await send(two, location, { method: 'DELETE' })).status).toBe(409)
    leave()
  })

  it('continues after its connection was cut, and after the servers were started again', async () => {
    const folder = await tempFolder()
    const running = await start((await overlayServer(folder)).server)
    const location = await begin(running)
    const leave = await stuck(running, location, bytes.subarray(0, half))
    const offset = async ({ origin }: { origin: string }) => {
      const range = (await send({ origin }, location, { method: 'GET' })).headers.get('range')
      return Number(range?.slice(2)) + 1
    }
    await sleep(100)
    leave()
    await until(async () => (await offset(running)) > 1)
    const again = await start((await overlayServer(folder)).server)
    const from = await offset(again)
    expect(from).toBeLessThanOrEqual(half)
    expect((await patch(again, location, { from, to: bytes.length })).status).toBe(202)
    expect((await finish(again, location)).status).toBe(201)
    expect(await pulled(again)).toBe(true)
  })

  it('belongs to its repository', async () => {
    const running = await start((await overlayServer(await tempFolder())).server)
    const location = (await begin(running)).replace('team/app', 'team/other')
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const got = await send(running, location, { method })
      expect([got.status, codesOf(got.text)], method).toEqual([404, ['BLOB_UPLOAD_UNKNOWN']])
    }
  })

  it('leaves nothing behind where it is cancelled, is not what its digest says, or was left for a day', async () => {
    const folder = await tempFolder()
    let now = Date.now()
    const running = await start((await overlayServer(folder, { now: () => now })).server)
    expect((await send(running, await begin(running), { method: 'DELETE' })).status).toBe(204)
    const location = await begin(running)
    await patch(running, location, { from: 0, to: half })
    const wrong = await finish(running, location)
    expect([wrong.status, codesOf(wrong.text)]).toEqual([400, ['DIGEST_INVALID']])
    await patch(running, await begin(running), { from: 0, to: half })
    expect((await readdir(join(folder, 'uploads'))).length).toBe(2)
    now += 25 * 60 * 60 * 1_000
    await overlayServer(folder, { now: () => now })
    expect(await readdir(join(folder, 'uploads'))).toEqual([])
    expect(await readdir(join(folder, 'blobs/sha256'))).toEqual([])
  })

  it('may be empty, and streamed without a length', async () => {
    const running = await start((await overlayServer(await tempFolder())).server)
    await pushBlob(running, 'team/app', Buffer.alloc(0))
    const location = await begin(running)
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += 100_000)
          controller.enqueue(bytes.subarray(at, at + 100_000))
        controller.close()
      },
    })
    const init = { method: 'PATCH', body, duplex: 'half' } as RequestInit
    expect((await fetch(`${running.origin}${location}`, init)).status).toBe(202)
    expect((await finish(running, location)).status).toBe(201)
    expect(await pulled(running)).toBe(true)
  })

  it('is not needed for a blob that another repository has', async () => {
    const running = await start((await overlayServer(await tempFolder())).server)
    await pushBlob(running, 'team/app', bytes)
    for (const query of [`mount=${digest}&from=team/app`, `mount=${digest}`]) {
      const name = `team/other-${query.length}`
      const got = await send(running, `/v2/${name}/blobs/uploads/?${query}`, { method: 'POST' })
      expect([got.status, got.headers.get('location')], query).toEqual([201, `/v2/${name}/blobs/${digest}`])
      expect(await pulled(running, name)).toBe(true)
    }
    const absent = `/v2/team/third/blobs/uploads/?mount=${digestOf('absent')}&from=team/app`
    expect((await send(running, absent, { method: 'POST' })).status).toBe(202)
    expect((await running.get(`/v2/team/third/blobs/${digest}`)).status).toBe(404)
  })
})
