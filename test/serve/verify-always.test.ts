import { rm, utimes, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { PieceDigests } from '../../src/serve/piece-digests.ts'
import { pieceVerification } from '../../src/serve/piece-verification.ts'
import { turns } from '../../src/serve/turns.ts'
import { describeBytes, noise } from '../bundle/samples.ts'
import { fileSize, overwrite, servedFile, slowStore } from './support/served-file.ts'
import { put } from './support/servers.ts'

const size = fileSize
const servedBundle = () => servedFile({ counted: true, verify: 'always' })

const first = { range: 'bytes=0-99' }

describe('verify always: ranges of content that changes while it is served', () => {
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
    const { path, bytes, offset, running, fetched } = await servedBundle()
    await running.get('/files/big.bin', { headers: first })
    const change = () => overwrite(path, offset + size - 10, Buffer.from('EVIL'))
    const { body, isComplete } = await fetched('1-', change)
    expect(isComplete).toBe(false)
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

describe('verify always: verification under abuse', () => {
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
    const verdicts = pieceVerification(store)
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
    const verdicts = pieceVerification(store)
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
