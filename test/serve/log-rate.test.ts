import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { boundedLog } from '../../src/serve/log-rate.ts'
import type { AccessEntry } from '../../src/serve/served.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const entry = (status: number, method: string, url = '/'): AccessEntry => ({
  method,
  url,
  status,
  bytes: 0,
  milliseconds: 1,
  remoteAddress: '10.0.0.1',
  error: 'an error',
})

describe('boundedLog', () => {
  it('logs one malformed request a minute, and how many there were', () => {
    const lines: AccessEntry[] = []
    const { log, flush } = boundedLog(one => lines.push(one))
    for (let i = 0; i < 10_000; i++) log(entry(400, ''))
    expect(lines).toEqual([entry(400, '')])
    vi.advanceTimersByTime(60_000)
    expect(lines.slice(1)).toEqual([{ ...entry(400, ''), count: 9_999 }])
    for (let i = 0; i < 10_000; i++) log(entry(431, ''))
    expect(lines).toHaveLength(2)
    vi.advanceTimersByTime(60_000)
    expect(lines.at(-1)).toEqual({ ...entry(431, ''), count: 10_000 })
    // after a quiet minute the next one is logged at once
    vi.advanceTimersByTime(60_000)
    log(entry(408, ''))
    expect(lines.at(-1)).toEqual(entry(408, ''))
    flush()
    expect(lines).toHaveLength(4)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('logs the first failures of each status, and those that are left when it is closed', () => {
    const lines: AccessEntry[] = []
    const { log, flush } = boundedLog(one => lines.push(one))
    for (let i = 0; i < 100; i++) {
      log(entry(500, 'GET', `/${i}`))
      log(entry(200, 'GET', `/${i}`))
    }
    expect(lines).toHaveLength(40)
    flush()
    expect(lines.slice(40)).toEqual([
      { ...entry(500, 'GET', '/99'), count: 80 },
      { ...entry(200, 'GET', '/99'), count: 80 },
    ])
  })
})
