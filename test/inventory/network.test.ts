import { expect, it } from 'vitest'
import { isNetwork } from '../../src/inventory/network.ts'

it.each(['10.0.0.1', '10.0.0.0/8', '0.0.0.0/0', '::1', 'fd00::/64', 'fd00::/128'])(
  '%s is a network',
  text => {
    expect(isNetwork(text)).toBe(true)
  },
)

it.each([
  'db1',
  'cafe',
  'a100',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/8/9',
  'fe80::1%eth0',
  '10.0.0.0/8 ',
  '',
])('%j is not', text => {
  expect(isNetwork(text)).toBe(false)
})
