import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AirgapError } from '../../src/core/errors.ts'
import { formatLock, parseLock } from '../../src/lock/lock.ts'
import type { Lock } from '../../src/lock/schema.ts'

const digest = (letter: string) => `sha256:${letter.repeat(64)}` as const

const lock: Lock = {
  lockVersion: 1,
  name: 'demo',
  version: '1.0.0',
  platforms: ['linux/amd64'],
  inputs: digest('a'),
  collisions: {},
  runtime: [{ path: 'offline-deploy/node', mode: 0o755, digest: digest('b'), size: 1 }],
  items: { image: [{ name: 'docker.io/library/x:1', digest: digest('c') }], file: [{ name: 'a', size: 3 }] },
}

describe('the lockfile', () => {
  it('has one text whatever the order of keys, and parses to the same lock', () => {
    const turned = Object.fromEntries(Object.entries(lock).reverse())
    expect(formatLock(parseLock(JSON.stringify(turned), 'x'))).toBe(formatLock(lock))
    expect(parseLock(formatLock(lock), 'x')).toEqual(lock)
  })

  it.each([
    ['a merge conflict', '<<<<<<< HEAD\n{}'],
    ['another version', JSON.stringify({ ...lock, lockVersion: 2 })],
    ['an unknown key', JSON.stringify({ ...lock, extra: 1 })],
    ['a digest that is none', JSON.stringify({ ...lock, inputs: 'sha256:xyz' })],
    ['an item without a name', JSON.stringify({ ...lock, items: { image: [{}] } })],
  ])('refuses %s with what to do', (_, text) => {
    expect(() => parseLock(text, 'demo.lock.json')).toThrowError(
      expect.objectContaining({
        code: 'LOCK_INVALID',
        item: 'demo.lock.json',
        next: expect.stringContaining('airgap lock'),
      }),
    )
  })

  it('throws only AirgapError', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), text => {
        expect(() => parseLock(text, 'x')).toThrow(AirgapError)
      }),
    )
  })
})
