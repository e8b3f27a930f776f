import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeHeader,
  encodeHeader,
  isEncodable,
  looksLikeTar,
  paddingOf,
  type TarHeader,
} from '../../src/bundle/tar-header.ts'
import { hasTool } from './has-tool.ts'
import { tempFolder } from './samples.ts'

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 24 }).filter(text => !text.includes('\0'))
const header = fc.oneof(
  fc.record({
    path: name,
    size: fc.oneof(fc.nat(), fc.maxSafeNat()),
    mode: fc.nat(0o7777),
    type: fc.constant<'file'>('file'),
  }),
  fc.record({
    path: name,
    size: fc.constant(0),
    mode: fc.nat(0o7777),
    type: fc.constant<'link'>('link'),
    target: name,
  }),
)

describe('tar header', () => {
  it('decodes to what was encoded', () => {
    fc.assert(
      fc.property(header.filter(isEncodable), fields => {
        expect(decodeHeader(encodeHeader(fields), 'x')).toEqual(fields)
      }),
    )
  })

  it('is refused with any one bit flipped', () => {
    const block = encodeHeader({ path: 'blobs/sha256/ab', size: 12345, mode: 0o644, type: 'file' })
    for (let bit = 0; bit < 4096; bit++) {
      const damaged = Buffer.from(block)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => decodeHeader(damaged, 'x'), `bit ${bit}`).toThrow(
        expect.objectContaining({ code: 'BUNDLE_CORRUPT' }),
      )
    }
  })

  it('is refused if it is any other bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), block => {
        expect(() => decodeHeader(block, 'x')).toThrow()
      }),
    )
  })

  it.each<[string, Partial<TarHeader>]>([
    ['an empty name', { path: '' }],
    ['a name of 101 bytes', { path: 'x'.repeat(101) }],
    ['a name with NUL', { path: 'a\0b' }],
    ['a negative size', { size: -1 }],
    ['a size over 2^53', { size: 2 ** 53 }],
    ['a fraction', { size: 1.5 }],
  ])('is never made of %s', (_what, change) => {
    const fields = { path: 'a', size: 1, mode: 0o644, type: 'file' as const, ...change }
    expect(isEncodable(fields)).toBe(false)
    expect(() => encodeHeader(fields)).toThrow(expect.objectContaining({ code: 'INTERNAL' }))
  })

  it('uses a base-256 size exactly from 8 GiB', () => {
    const at = (size: number) => encodeHeader({ path: 'a', size, mode: 0o644, type: 'file' })
    expect(at(8 * 1024 ** 3 - 1).toString('latin1', 124, 136)).toBe('77777777777\0')
    expect(at(8 * 1024 ** 3).toString('hex', 124, 136)).toBe('800000000000000200000000')
  })

  it('pads to the next block', () => {
    expect([0, 1, 511, 512, 513].map(paddingOf)).toEqual([0, 511, 1, 0, 511])
  })

  it('recognizes the magic', () => {
    expect(looksLikeTar(encodeHeader({ path: 'a', size: 0, mode: 0, type: 'file' }))).toBe(true)
    expect(looksLikeTar(Buffer.alloc(512))).toBe(false)
  })

  it.skipIf(!hasTool('tar'))(
    'is byte for byte what GNU tar writes in its ustar format (needs tar)',
    async () => {
      const folder = await tempFolder()
      await writeFile(join(folder, 'content'), 'x'.repeat(777), { mode: 0o755 })
      const flags = [
        '--format=ustar',
        '--mtime=@0',
        '--owner=:0',
        '--group=:0',
        '--numeric-owner',
        '--mode=755',
      ]
      const tar = execFileSync('tar', [...flags, '-C', folder, '-cf', '-', 'content'])
      expect(encodeHeader({ path: 'content', size: 777, mode: 0o755, type: 'file' })).toEqual(
        tar.subarray(0, 512),
      )
    },
  )
})
