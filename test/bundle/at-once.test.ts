import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { eachAtOnce } from '../../src/bundle/at-once.ts'

describe('eachAtOnce', () => {
  it('does the work for all items, and never for more than a few at once', async () => {
    let [running, most] = [0, 0]
    const done: number[] = []
    const work = async (item: number) => {
      most = Math.max(most, ++running)
      await setTimeout(1)
      running--
      done.push(item)
    }
    const items = Array.from({ length: 50 }, (_, i) => i)
    await eachAtOnce(items, { signal: undefined, work })
    expect(done.sort((a, b) => a - b)).toEqual(items)
    expect(most).toBeLessThan(10)
  })

  it('begins no more after a failure, and throws it when nothing runs any more', async () => {
    let [begun, running] = [0, 0]
    const work = async (item: number) => {
      begun++
      running++
      await setTimeout(item === 3 ? 1 : 20)
      running--
      if (item === 3) throw new Error('no space')
    }
    const items = Array.from({ length: 100 }, (_, i) => i)
    await expect(eachAtOnce(items, { signal: undefined, work })).rejects.toThrow('no space')
    expect(running).toBe(0)
    expect(begun).toBeLessThan(20)
  })

  it('stops on its signal', async () => {
    const stop = new AbortController()
    let begun = 0
    const work = async () => {
      if (++begun === 20) stop.abort()
      await setTimeout(1)
    }
    const items = Array.from({ length: 100 }, (_, i) => i)
    await expect(eachAtOnce(items, { signal: stop.signal, work })).rejects.toMatchObject({
      name: 'AbortError',
    })
    expect(begun).toBeLessThan(40)
  })
})
