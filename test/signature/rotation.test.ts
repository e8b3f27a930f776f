import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { publicKeyOf } from '../../src/signature/public-key.ts'
import { parseRotation, printRotation } from '../../src/signature/rotation.ts'
import { parseStatement, printStatement } from '../../src/signature/statement.ts'
import { sample } from './stock.ts'

const keys = Array.from({ length: 3 }, (_, i) =>
  publicKeyOf(createHash('sha256').update(`key ${i}`).digest()),
)
const rotation = { made: '2026-11-27T03:20:00Z', threshold: 2, keys }
const text = printRotation(rotation)
const parse = (changed: string) => parseRotation(Buffer.from(changed), 'keys.rotation')
const refused = expect.objectContaining({ code: 'SIGNATURE_INVALID', exitCode: 6 })

describe('a rotation of keys', () => {
  it('is read as it was written, with its keys in one order', () => {
    expect(parse(text)).toMatchObject({ made: rotation.made, threshold: 2 })
    expect(new Set(parse(text).keys.map(({ fingerprint }) => fingerprint))).toEqual(
      new Set(keys.map(({ fingerprint }) => fingerprint)),
    )
    expect(printRotation({ ...rotation, keys: keys.toReversed() })).toBe(text)
  })

  it('is refused in any other form', () => {
    const lines = text.split('\n')
    for (const changed of [
      '',
      text.slice(0, -1),
      `${text}\n`,
      text.replaceAll('\n', '\r\n'),
      text.replace('threshold: 2', 'threshold: 02'),
      text.replace('threshold: 2', 'threshold: 4'),
      text.replace('threshold: 2', 'threshold: 0'),
      text.replace('2026-11-27', '2026-13-27'),
      text.replace('# made', '#  made'),
      text.replace(lines[4]!, `${lines[4]}\n${lines[4]}`),
      [...lines.slice(0, 3), lines[4], lines[3], ...lines.slice(5)].join('\n'),
      lines.slice(0, 3).join('\n'),
      `${text}# threshold: 1\n`,
    ])
      expect(() => parse(changed)).toThrow(refused)
  })

  it('is refused with a byte changed where the result is not another rotation in its one form', () => {
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const bytes = Buffer.from(text)
        fc.pre(bytes[at] !== byte)
        bytes[at] = byte
        try {
          expect(printRotation(parseRotation(bytes, 'keys.rotation'))).toBe(bytes.toString('latin1'))
        } catch (error) {
          expect(error).toMatchObject({ code: 'SIGNATURE_INVALID' })
        }
      }),
    )
  })

  it('cannot be taken for the statement of a bundle, and the other way round', () => {
    expect(() => parseStatement(Buffer.from(text), 'B.sums')).toThrow(refused)
    expect(() => parse(printStatement(sample()))).toThrow(refused)
  })
})
