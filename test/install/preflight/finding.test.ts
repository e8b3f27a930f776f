import { expect, it } from 'vitest'
import { findingLines } from '../../../src/install/preflight/finding.ts'

it('reports a finding of many machines once, errors first', () => {
  const one = (machine: string, level: 'error' | 'warning', what: string) => ({
    machine,
    level,
    what,
    next: 'do',
  })
  const many = Array.from({ length: 1_000 }, (_, i) => one(`m${i}`, 'warning', 'swap is on'))
  expect(findingLines([...many, one('x', 'error', 'is off'), one('y', 'error', 'is off')])).toEqual([
    'x, y: is off → do',
    'm0, m1, m2, m3, m4, m5, m6, m7 and 992 more: swap is on → do',
  ])
})
