import { open, rm, utimes, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openBundle } from '../../src/bundle/reader.ts'
import { MemoryStore } from '../../src/content/memory-store.ts'
import type { ReadableStore } from '../../src/content/store.ts'
import { treeArtifacts } from '../../src/content/tree.ts'
import type { ByteRange, Descriptor } from '../../src/core/descriptor.ts'
import { createHttpServer } from '../../src/serve/files.ts'
import { PieceDigests } from '../../src/serve/piece-digests.ts'
import { turns } from '../../src/serve/turns.ts'
import { verification } from '../../src/serve/verification.ts'
import { mergedStore } from '../../src/site/content.ts'
import { describeBytes, noise, tempFolder } from '../bundle/samples.ts'
import { writeBundle } from '../site/support/sample-site.ts'
import { openSocket, put, start } from './support/servers.ts'

const size = 6_000_000 /* bytes */

/** A bundle with one file, `/files/big.bin`, served over HTTP from the open tar. */
async function servedBundle() {
  const path = `${await tempFolder()}/b.tar`
  const bytes = noise(size, 7)
  const descriptor = describeBytes(bytes)
  const files = [{ path: 'big.bin', mode: '100644' as const, descriptor, origin: { bytes } }]
  await writeBundle(path, treeArtifacts({ name: 'files', kind: 'file', files }))
  const bundle = await openBundle(path)
  onTestFinished(() => bundle.close())
  const entry = bundle.entries().find(one => one.digest === descriptor.digest && one.type === 'file')!
  const reads = { bytes: 0 }
  const store = counted(mergedStore([bundle, new MemoryStore()]), reads)
  const entries = new Map([['big.bin', { descriptor, mode: '100644' as const }]])
  const running = await start(createHttpServer(store, [{ prefix: '/files', entries }]))
  return { path, bytes, offset: entry.dataOffset, running, reads }
}

function counted(store: ReadableStore, reads: { bytes: number }): ReadableStore {
  return {
    exists: descriptor => store.exists(descriptor),
    state: async descriptor => (await store.state?.(descriptor)) ?? '',
    async open(descriptor: Descriptor, range?: ByteRange) {
      reads.bytes += range === undefined ? descriptor.size : range.end - range.start
      return await store.open(descriptor, range)
    },
  }
}

async function overwrite(path: string, at: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(bytes, 0, bytes.length, at)
  await file.close()
}

const first = { range: 'bytes=0-99' }

describe('ranges of content that changes while it is served', () => {
  it('refuses every part after a few bytes were overwritten in place, and serves again once they are restored', async () => {
    const { path, bytes, offset, running } = await servedBundle()
    const good = await running.get('/files/big.bin', { headers: first })
    expect(good.body.equals(bytes.subarray(0, 100))).toBe(true)
    await overwrite(path, offset + 10, Buffer.from('EVIL'))
    for (const range of ['bytes=0-99', 'bytes=4-', 'bytes=5000000-5000009', 'bytes=-1'])
      expect((await running.get('/files/big.bin', { headers: { range } })).status).toBe(500)
    expect((await running.get('/files/big.bin')).status).toBe(500)
    await sleep(20)
    await overwrite(path, offset + 10, bytes.subarray(10, 14))
    const again = await running.get('/files/big.bin', { headers: first })
    expect(again.body.equals(bytes.subarray(0, 100))).toBe(true)
  })

  it('notices a change whose time was set back', async () => {
    const { path, offset, running } = await servedBundle()
    const before = new Date('2020-01-01')
    await utimes(path, before, before)
    expect((await running.get('/files/big.bin', { headers: first })).status).toBe(206)
    await overwrite(path, offset + size - 1, Buffer.from('X'))
    await utimes(path, before, before)
    expect((await running.get('/files/big.bin', { headers: first })).status).toBe(500)
  })

  it('notices a change in the middle of a range that is being sent', async () => {
    const { path, bytes, offset, running } = await servedBundle()
    await running.get('/files/big.bin', { headers: first })
    const socket = openSocket(running.port)
    socket.write('GET /files/big.bin HTTP/1.1\r\nHost: x\r\nRange: bytes=1-\r\n\r\n')
    await new Promise(resolve => socket.once('readable', resolve))
    await overwrite(path, offset + size - 10, Buffer.from('EVIL'))
    let received = ''
    socket.on('data', chunk => {
      received += chunk.toString('latin1')
    })
    await new Promise(resolve => socket.once('close', resolve))
    const body = Buffer.from(received.slice(received.indexOf('\r\n\r\n') + 4), 'latin1')
    expect(body.length).toBeLessThan(size - 1)
    expect(bytes.subarray(1, 1 + body.length).equals(body)).toBe(true)
  })

  it('keeps serving the open file when another one takes its path', async () => {
    const { path, bytes, running } = await servedBundle()
    expect((await running.get('/files/big.bin', { headers: first })).status).toBe(206)
    await rm(path)
    await writeFile(path, 'another file')
    const got = await running.get('/files/big.bin', { headers: { range: 'bytes=1000000-3000000' } })
    expect(got.body.equals(bytes.subarray(1_000_000, 3_000_001))).toBe(true)
  })

  it('sends exactly the bytes of any range', async () => {
    const { bytes, running } = await servedBundle()
    const unit = 128 << 10
    for (const [start, end] of [
      [0, 0],
      [unit - 1, unit],
      [unit, 2 * unit - 1],
      [unit + 1, size - 1],
      [size - 1, size - 1],
    ] as const) {
      const got = await running.get('/files/big.bin', { headers: { range: `bytes=${start}-${end}` } })
      expect(got.status).toBe(206)
      expect(got.body.equals(bytes.subarray(start, end + 1))).toBe(true)
    }
  })
})

describe('verification under abuse', () => {
  it('reads a blob once for many clients that want parts of it', async () => {
    const { running, reads } = await servedBundle()
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => running.get('/files/big.bin', { headers: first })),
    )
    expect(answers.every(({ status }) => status === 206)).toBe(true)
    // once to verify, and one piece for each answer
    expect(reads.bytes).toBeLessThan(size + 51 * (128 << 10))
  })

  it('reads a damaged blob once, however often a byte of it is requested', async () => {
    const { path, offset, running, reads } = await servedBundle()
    await overwrite(path, offset, Buffer.from('EVIL'))
    for (let i = 0; i < 20; i++) {
      const options = i % 2 === 0 ? { headers: { range: 'bytes=9-9' } } : {}
      expect((await running.get('/files/big.bin', options)).status).toBe(500)
    }
    expect(reads.bytes).toBe(size)
  })

  it('stops reading when the last client has left, and not before', async () => {
    const { descriptor, store, reads } = await slowStore(40 << 20)
    const verdicts = verification(store, { read: readOf(store) })
    const clients = [new AbortController(), new AbortController()]
    const waiting = clients.map(({ signal }) => verdicts.piecesOf(descriptor, signal).catch(error => error))
    await sleep(30)
    clients[0]!.abort(new Error('gone'))
    expect(await waiting[0]).toMatchObject({ message: 'gone' })
    const before = reads.bytes
    await sleep(50)
    expect(reads.bytes).toBeGreaterThan(before)
    clients[1]!.abort(new Error('gone'))
    await waiting[1]
    await sleep(30)
    const after = reads.bytes
    await sleep(100)
    expect(reads.bytes).toBe(after)
    expect(after).toBeLessThan(descriptor.size)
    // the next client is served all the same
    expect(await verdicts.piecesOf(descriptor, AbortSignal.timeout(60_000))).toBeInstanceOf(PieceDigests)
  })

  it('reads two pieces at once at most, and finishes small blobs before large ones', async () => {
    const { descriptor: large, store, reads } = await slowStore(20 << 20)
    const others = [
      large,
      ...(await Promise.all([1, 2, 3, 4].map(i => put(store.memory, noise(2 << 20, i))))),
    ]
    const verdicts = verification(store, { read: readOf(store) })
    const order: number[] = []
    await Promise.all(
      others.map(async one => {
        await verdicts.piecesOf(one, AbortSignal.timeout(60_000))
        order.push(one.size)
      }),
    )
    expect(reads.most).toBe(2)
    expect(order.at(-1)).toBe(large.size)
  })

  it('gives the turn of a client that left to the next one', async () => {
    const { take, giveBack } = turns(1)
    const never = new AbortController()
    await take(1, never.signal)
    const left = new AbortController()
    const second = take(1, left.signal).catch((error: Error) => error.message)
    const third = take(2, never.signal)
    left.abort(new Error('left'))
    expect(await second).toBe('left')
    giveBack()
    await third
    giveBack()
    await take(9, never.signal)
  })
})

/** A store whose reads take a while, and count. */
async function slowStore(bytes: number) {
  const memory = new MemoryStore()
  const descriptor = await put(memory, noise(bytes, 3))
  const reads = { bytes: 0, running: 0, most: 0 }
  const store = {
    memory,
    reads,
    exists: (one: Descriptor) => memory.exists(one),
    async open(one: Descriptor, range?: ByteRange) {
      reads.running++
      reads.most = Math.max(reads.most, reads.running)
      await sleep(5)
      reads.running--
      reads.bytes += range === undefined ? one.size : range.end - range.start
      return await memory.open(one, range)
    },
  }
  return { descriptor, store, reads }
}

function readOf(store: ReadableStore) {
  return async (descriptor: Descriptor, piece: ByteRange) => {
    const chunks: Uint8Array[] = []
    for await (const chunk of await store.open(descriptor, piece)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }
}

describe('digests of pieces', () => {
  it('are few for a blob of a terabyte', () => {
    const { unit, bytes } = new PieceDigests({ ...describeBytes(Buffer.alloc(0)), size: 2 ** 40 })
    expect(unit).toBe(16 << 20)
    expect(bytes).toBe(2 << 20)
  })

  it('name the blob of which a piece is wrong', () => {
    const content = noise(300_000, 9)
    const digests = new PieceDigests(describeBytes(content))
    digests.record(content, 0)
    digests.check(content.subarray(digests.unit), digests.unit)
    content[content.length - 1]! ^= 1
    expect(() => digests.check(content.subarray(2 * digests.unit), 2 * digests.unit)).toThrow(
      expect.objectContaining({ code: 'DIGEST_MISMATCH', item: describeBytes(noise(300_000, 9)).digest }),
    )
  })
})
