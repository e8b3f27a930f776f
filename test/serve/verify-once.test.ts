import { rm, utimes, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MemoryStore } from '../../src/content/memory-store.ts'
import type { Descriptor } from '../../src/core/descriptor.ts'
import { AirgapError } from '../../src/core/errors.ts'
import { isSettled } from '../../src/core/file-state.ts'
import { localVerdicts } from '../../src/serve/local-verdicts.ts'
import { pieceBuffers } from '../../src/serve/piece-buffers.ts'
import type { Verdicts } from '../../src/serve/verdicts.ts'
import { verifiedOnce } from '../../src/serve/verified-once.ts'
import { noise } from '../bundle/samples.ts'
import { bundleWithFile, fileSize, overwrite, servedFile, slowStore } from './support/served-file.ts'
import { openSocket, put } from './support/servers.ts'

const first = { range: 'bytes=0-99' }
const evil = Buffer.from('EVIL')

describe('verify once: content that changes while it is served', () => {
  it('completes no answer after a few bytes were overwritten in place, and serves again once they are restored', async () => {
    const { path, bytes, offset, running, fetched, log } = await servedFile()
    const good = await running.get('/files/big.bin', { headers: first })
    expect(good.body.equals(bytes.subarray(0, 100))).toBe(true)
    await overwrite(path, offset + 10, evil)
    const broken = await fetched('5000000-5000099')
    expect(broken).toMatchObject({ status: 206, isComplete: false })
    expect(log.at(-1)).toMatchObject({ aborted: true, error: expect.stringContaining('digest') })
    for (const range of ['0-99', '4-', '5000000-5000009', '-1'])
      expect((await fetched(range)).status).toBe(500)
    expect((await fetched()).status).toBe(500)
    await sleep(20)
    await overwrite(path, offset + 10, bytes.subarray(10, 14))
    expect((await fetched('0-99')).body.equals(bytes.subarray(0, 100))).toBe(true)
  })

  it('notices a change whose time was set back', async () => {
    const { path, offset, running, fetched } = await servedFile()
    const before = new Date('2020-01-01')
    await utimes(path, before, before)
    await sleep(70)
    expect((await running.get('/files/big.bin', { headers: first })).status).toBe(206)
    await overwrite(path, offset + fileSize - 1, Buffer.from('X'))
    await utimes(path, before, before)
    expect((await fetched('0-99')).isComplete).toBe(false)
    expect((await fetched()).status).toBe(500)
  })

  it('cuts an answer whose file is changed while it is sent', async () => {
    const { path, bytes, offset, running, fetched } = await servedFile()
    await running.get('/files/big.bin', { headers: first })
    const change = () => overwrite(path, offset + fileSize - 10, evil)
    const { body, isComplete } = await fetched('1-', change)
    expect(isComplete).toBe(false)
    expect(body.length).toBeLessThan(fileSize - 1)
    expect(bytes.subarray(1, 1 + body.length).equals(body)).toBe(true)
  })

  it('completes an answer whose file got another time and the same bytes while it is sent', async () => {
    const { path, bytes, running, fetched } = await servedFile()
    await running.get('/files/big.bin', { headers: first })
    const { body } = await fetched(undefined, () => utimes(path, new Date(), new Date()))
    expect(body.equals(bytes)).toBe(true)
  })

  it('keeps serving the open file when another one takes its path', async () => {
    const { path, bytes, running, fetched } = await servedFile()
    expect((await running.get('/files/big.bin', { headers: first })).status).toBe(206)
    await rm(path)
    await writeFile(path, 'another file')
    expect((await fetched('1000000-3000000')).body.equals(bytes.subarray(1_000_000, 3_000_001))).toBe(true)
  })

  it('sends exactly the bytes of any range, verified before or not', async () => {
    for (const range of [undefined, '0-0', '131071-131072', '262145-', '1-', '-1', '262144-524287']) {
      const { bytes, fetched } = await servedFile()
      const [from, to] = range?.startsWith('-') ? [fileSize - 1, ''] : (range?.split('-') ?? [0, ''])
      const wanted = bytes.subarray(Number(from), to === '' ? fileSize : Number(to) + 1)
      for (let i = 0; i < 2; i++) expect((await fetched(range)).body.equals(wanted)).toBe(true)
    }
  })
})

/** Verdicts that come when the test says so. */
function verdictsOnDemand() {
  let settle: (error?: unknown) => void = () => {}
  const states: string[] = []
  const verdicts: Verdicts = {
    known: () => false,
    verified: (_content, { state }) => {
      states.push(state)
      return new Promise((resolve, reject) => {
        settle = error => (error === undefined ? resolve() : reject(error))
      })
    },
    noteDamage() {},
  }
  return { verdicts, states, settle: (error?: unknown) => settle(error) }
}

describe('verify once: content that was never verified', () => {
  it.each([
    ['bytes=1000000-1000099', 50, 100],
    ['bytes=0-', fileSize - 4_096, fileSize],
    ['bytes=5-5', 0, 1],
  ])('sends %s up to the last bytes at once, which wait for the verdict', async (range, early, length) => {
    const { verdicts, settle } = verdictsOnDemand()
    const { running } = await servedFile({ verdicts })
    const socket = openSocket(running.port)
    socket.write(`GET /files/big.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\nRange: ${range}\r\n\r\n`)
    let received = Buffer.alloc(0)
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
    })
    const body = () => received.length - (received.indexOf('\r\n\r\n') + 4)
    for (let i = 0; i < 200 && (received.length === 0 || body() < early); i++) await sleep(20)
    await sleep(50)
    expect(body()).toBe(early)
    settle()
    await new Promise(resolve => socket.once('close', resolve))
    expect(body()).toBe(length)
  })

  it('breaks the answer as soon as damage is known', async () => {
    const { verdicts, settle } = verdictsOnDemand()
    const { running, log } = await servedFile({ verdicts })
    const socket = openSocket(running.port)
    socket.write('GET /files/big.bin HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise(resolve => socket.once('readable', resolve))
    settle(new AirgapError('DIGEST_MISMATCH', 'the content has another digest'))
    await sleep(20)
    let received = 0
    socket.on('data', chunk => {
      received += chunk.length
    })
    await new Promise(resolve => socket.once('close', resolve))
    expect(received).toBeLessThan(fileSize)
    expect(log[0]?.error).toContain('another digest')
  })

  it('reads a piece again if the file was written to while it was read, and the new state has to be verified', async () => {
    const memory = new MemoryStore()
    const bytes = noise(600_000, 5)
    const descriptor = await put(memory, bytes)
    let state = 'one'
    let reads = 0
    const store = {
      exists: (one: Descriptor) => memory.exists(one),
      state: async () => state,
      async open(one: Descriptor, range?: { start: number; end: number }) {
        if (++reads === 2) state = 'two'
        return await memory.open(one, range)
      },
    }
    const states: string[] = []
    const verdicts: Verdicts = {
      known: (_content, now) => now === 'one',
      verified: async (_content, { state: now }) => void states.push(now),
      noteDamage() {},
    }
    const sent: Uint8Array[] = []
    const wanted = {
      descriptor,
      range: { start: 0, end: descriptor.size },
      signal: AbortSignal.timeout(60_000),
      readsAhead: () => false,
    }
    for await (const piece of verifiedOnce({ store, verdicts, buffers: pieceBuffers() }, wanted)) {
      sent.push(Buffer.from(piece.bytes))
      piece.done()
    }
    expect(Buffer.concat(sent).equals(bytes)).toBe(true)
    expect(states).toEqual(['two'])
    expect(reads).toBe(4)
  })

  it('ends an answer whose file is changed twice before the first change is verified', async () => {
    const { path, bundle, descriptor } = await bundleWithFile()
    const { verdicts, states } = verdictsOnDemand()
    const from = { store: bundle, verdicts, buffers: pieceBuffers() }
    const range = { start: 0, end: descriptor.size }
    const signal = AbortSignal.timeout(60_000)
    const pieces = verifiedOnce(from, { descriptor, range, signal, readsAhead: () => false })
    const one = await pieces.next()
    one.value?.done()
    await utimes(path, new Date(), new Date())
    await expect(pieces.next()).rejects.toMatchObject({
      code: 'IO',
      message: 'the bundle was written to while it was served',
    })
    expect(states).toHaveLength(1)
  })
})

describe('verify once: under abuse', () => {
  it('reads a blob once for many clients that want parts of it', async () => {
    const { fetched, reads } = await servedFile({ counted: true })
    const answers = await Promise.all(Array.from({ length: 50 }, () => fetched('0-99')))
    expect(answers.every(({ isComplete }) => isComplete)).toBe(true)
    // once to verify, and the bytes of each answer
    expect(reads.bytes).toBe(fileSize + 50 * 100)
  })

  it('reads a damaged blob once, however often a byte of it is requested', async () => {
    const { path, offset, fetched, reads } = await servedFile({ counted: true })
    await overwrite(path, offset, evil)
    await sleep(70)
    expect((await fetched('9-9')).isComplete).toBe(false)
    const before = reads.bytes
    for (let i = 0; i < 20; i++) expect((await fetched(i % 2 === 0 ? '9-9' : undefined)).status).toBe(500)
    expect(reads.bytes).toBe(before)
  })

  it('stops reading when the last client has left, and not before', async () => {
    const { descriptor, store, reads } = await slowStore(40 << 20)
    const verdicts = localVerdicts(store)
    const clients = [new AbortController(), new AbortController()]
    const waiting = clients.map(({ signal }) =>
      verdicts.verified(descriptor, { state: '', signal }).catch((error: Error) => error.message),
    )
    await sleep(30)
    clients[0]!.abort(new Error('gone'))
    expect(await waiting[0]).toBe('gone')
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
    await verdicts.verified(descriptor, { state: '', signal: AbortSignal.timeout(60_000) })
    expect(await verdicts.known(descriptor, '')).toBe(true)
  })

  it('reads few large blobs at once, and small ones beside them', async () => {
    const { store, reads } = await slowStore(1)
    const verdicts = localVerdicts(store)
    const signal = AbortSignal.timeout(60_000)
    const large = await Promise.all(
      [1, 2, 3, 4, 5, 6, 7].map(i => put(store.memory, noise((17 << 20) + i, i))),
    )
    const small = await put(store.memory, noise(1 << 20, 9))
    const order: number[] = []
    await Promise.all(
      [...large, small].map(async one => {
        await verdicts.verified(one, { state: '', signal })
        order.push(one.size)
      }),
    )
    expect(reads.most).toBeLessThanOrEqual(5)
    expect(order[0]).toBe(small.size)
  })

  it('ends the read of a thread with its client, and reads again for the next one', async () => {
    const { bundle, descriptor } = await bundleWithFile()
    const notes: string[] = []
    const verdicts = localVerdicts(bundle, { note: ({ digest }) => notes.push(digest) })
    onTestFinished(() => verdicts.close())
    const state = await bundle.state()
    const gone = new AbortController()
    const left = verdicts.verified(descriptor, { state, signal: gone.signal })
    gone.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    await verdicts.verified(descriptor, { state, signal: AbortSignal.timeout(60_000) })
    await verdicts.verified(descriptor, { state, signal: AbortSignal.timeout(60_000) })
    expect(notes).toEqual([descriptor.digest])
  })
})

describe('states of files', () => {
  it('give no verdict about another state than the one that was read', async () => {
    const { bundle, descriptor } = await bundleWithFile()
    const verdicts = localVerdicts(bundle)
    onTestFinished(() => verdicts.close())
    const state = await bundle.state()
    const other = `${state}1`
    const signal = AbortSignal.timeout(60_000)
    await verdicts.verified(descriptor, { state, signal })
    expect(await verdicts.known(descriptor, state)).toBe(true)
    expect(await verdicts.known(descriptor, other)).toBe(false)
    await expect(verdicts.verified(descriptor, { state: other, signal })).rejects.toMatchObject({
      code: 'IO',
    })
  })

  it.each([
    ['8:1 2 100 1700000000123456789 1700000000123456789', 1_700_000_000_150, false],
    ['8:1 2 100 1700000000123456789 1700000000123456789', 1_700_000_000_200, true],
    // whole seconds: FAT has a granularity of two
    ['8:1 2 100 1700000000000000000 1700000000000000000', 1_700_000_001_900, false],
    ['8:1 2 100 1700000000000000000 1700000000000000000', 1_700_000_002_200, true],
    ['8:1 2 100 5 5; 8:1 3 100 6 1700000000123456789', 1_700_000_000_150, false],
    ['', 0, true],
  ])('are settled once every write would change them: %s at %d', (state, now, settled) => {
    expect(isSettled(state, now)).toBe(settled)
  })

  it('that are not settled give verdicts to those who wait, and to nobody later', async () => {
    const { bundle, descriptor } = await bundleWithFile()
    const now = () => Number(BigInt((/(\d+)$/.exec(stateNow) ?? ['', '0'])[1]!) / 1_000_000n)
    const stateNow = await bundle.state()
    const verdicts = localVerdicts(bundle, { now })
    onTestFinished(() => verdicts.close())
    await verdicts.verified(descriptor, { state: stateNow, signal: AbortSignal.timeout(60_000) })
    expect(await verdicts.known(descriptor, stateNow)).toBe(false)
  })
})
