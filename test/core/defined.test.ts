import { describe, expect, it } from 'vitest'
import { defined } from '../../src/core/defined.ts'

describe('defined', () => {
  it('leaves out keys whose value is undefined and keeps every other value', () => {
    const result = defined({ a: undefined, b: null, c: 0, d: '', e: false })
    expect(Object.entries(result)).toEqual([
      ['b', null],
      ['c', 0],
      ['d', ''],
      ['e', false],
    ])
  })

  it('has optional keys where a value may be undefined', () => {
    const size: number | undefined = undefined
    const result: { name: string; size?: number } = defined({ name: 'x', size })
    expect('size' in result).toBe(false)
  })
})
