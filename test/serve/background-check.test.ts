import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MemoryStore } from '../../src/content/memory-store.ts'
import type { ByteRange, Descriptor } from '../../src/core/descriptor.ts'
import { checkInBackground } from '../../src/serve/background-check.ts'
import { localVerdicts } from '../../src/serve/local-verdicts.ts'
import { noise } from '../bundle/samples.ts'
import { put } from './support/servers.ts'

/** A store whose bytes can change without any change of its state, as those of a decaying medium do. */
async function decayingStore(sizes: number[]) {
  const memory = new MemoryStore()
  const blobs: Descriptor[] = []
  for (const [i, size] of sizes.entries()) blobs.push(await put(memory, noise(size, i)))
  const decayed = new Set<string>()
  const reads: string[] = []
  const control = { state: '1:1 5 5 5' }
  const store = {
    exists: (one: Descriptor) => memory.exists(one),
    state: async () => control.state,
    async open(one: Descriptor, range?: ByteRange) {
      reads.push(one.digest)
      if (!decayed.has(one.digest)) return await memory.open(one, range)
      return await memory.open(await put(memory, noise(one.size, 77)), range)
    },
  }
  return { store, blobs, decayed, reads, control }
}

async function eventually(check: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !check(); i++) await sleep(10)
  expect(check()).toBe(true)
}

async function checked(sizes: number[], { scrubEveryMs = 3_600_000 } = {}) {
  const sample = await decayingStore(sizes)
  const notes: string[] = []
  const damage: string[] = []
  const verdicts = localVerdicts(sample.store, {
    note: ({ digest }, { damage: found }) => void (found === undefined ? notes : damage).push(digest),
  })
  const stop = new AbortController()
  const completed: string[] = []
  const running = checkInBackground(
    [
      {
        verdicts,
        blobs: sample.blobs,
        state: sample.store.state,
        completed: (what, state) => completed.push(`${what} ${state}`),
      },
    ],
    { signal: stop.signal, intervalMs: 10, scrubEveryMs, scrubRate: 1 << 30 },
  )
  onTestFinished(async () => {
    stop.abort(new Error('stopped'))
    await running
    await verdicts.close()
  })
  return { ...sample, verdicts, notes, damage, completed }
}

describe('the check in the background', () => {
  it('verifies all content once, in order, and again in another state of the file', async () => {
    const { blobs, notes, completed, control, verdicts } = await checked([1_000, 0, 70_000])
    await eventually(() => completed.length === 1)
    expect(notes).toEqual(blobs.map(({ digest }) => digest))
    await sleep(50)
    expect(notes).toHaveLength(3)
    control.state = '1:1 5 6 6'
    await eventually(() => completed.length === 2)
    expect(notes).toHaveLength(6)
    expect(completed).toEqual(['all 1:1 5 5 5', 'all 1:1 5 6 6'])
    expect(verdicts.known(blobs[0]!, '1:1 5 5 5')).toBe(false)
    expect(verdicts.known(blobs[0]!, '1:1 5 6 6')).toBe(true)
  })

  it('leaves out what clients had verified before', async () => {
    const { store, blobs, reads } = await decayingStore([1_000, 2_000])
    const verdicts = localVerdicts(store)
    const state = await store.state()
    await verdicts.verified(blobs[1]!, { state, signal: AbortSignal.timeout(60_000) })
    const stop = new AbortController()
    let isComplete = false
    const content = { verdicts, blobs, state: store.state, completed: () => void (isComplete = true) }
    const running = checkInBackground([content], { signal: stop.signal })
    await eventually(() => isComplete)
    stop.abort(new Error('stopped'))
    await running
    expect(reads).toEqual([blobs[1]!.digest, blobs[0]!.digest])
  })

  it('finds damage that changes no state when it reads again, and requests for it fail from then on', async () => {
    const { blobs, decayed, damage, completed, verdicts } = await checked([1_000, 2_000], {
      scrubEveryMs: 100,
    })
    await eventually(() => completed.length >= 1)
    expect(verdicts.known(blobs[1]!, '1:1 5 5 5')).toBe(true)
    decayed.add(blobs[1]!.digest)
    await eventually(() => damage.length > 0)
    expect(damage[0]).toBe(blobs[1]!.digest)
    expect(() => verdicts.known(blobs[1]!, '1:1 5 5 5')).toThrow(
      expect.objectContaining({ code: 'DIGEST_MISMATCH', item: blobs[1]!.digest }),
    )
    expect(verdicts.known(blobs[0]!, '1:1 5 5 5')).toBe(true)
    expect(completed).toContain('scrubbed 1:1 5 5 5')
  })
})
