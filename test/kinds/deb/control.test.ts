import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readStanzas, type Stanza } from '../../../src/kinds/deb/control.ts'

async function* chunked(bytes: Buffer, size: number) {
  for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size)
}

async function read(text: string, size = 1 << 20) {
  const bytes = Buffer.from(text)
  const found: { stanza: Stanza; text: string }[] = []
  await readStanzas(chunked(bytes, size), {
    wanted: ['package', 'depends', 'size'],
    item: 'x',
    each: (stanza, { offset, length }) => {
      found.push({ stanza, text: bytes.subarray(offset, offset + length).toString() })
    },
  })
  return found
}

const sample = [
  'Package: a\nDepends: b,\n c (>= 1)\nDescription: über\n more: text\n .\n end',
  'package:b\nSIZE:  7 \nX-Package: no',
]

describe('deb822', () => {
  it('gives wanted fields and the very bytes of each stanza', async () => {
    expect(await read(`\n\n${sample[0]}\n\n \t\n${sample[1]}\n`)).toEqual([
      { stanza: { package: 'a', depends: 'b, c (>= 1)' }, text: sample[0] },
      { stanza: { package: 'b', size: '7' }, text: sample[1] },
    ])
  })

  it('does not depend on how the stream is cut', async () => {
    const text = `${sample.join('\n\n')}\n\n${sample.join('\n\n')}`
    const whole = await read(text)
    expect(whole).toHaveLength(4)
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: text.length }), async size => {
        expect(await read(text, size)).toEqual(whole)
      }),
    )
  })

  it('reads nothing from nothing', async () => {
    expect(await read('')).toEqual([])
    expect(await read('\n\n\n')).toEqual([])
  })

  it('refuses a line that is not a field, and a wanted field twice', async () => {
    await expect(read('Package a\n')).rejects.toThrow(/not a field/)
    await expect(read(': a\n')).rejects.toThrow(/not a field/)
    await expect(read('Package: a\npackage: b\n')).rejects.toThrow(/package occurs twice/)
  })
})
