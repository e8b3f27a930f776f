import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { unpack } from '../../../src/content/unpack.ts'
import { missing, must } from './support/programs.ts'

const text = 'Package: a\n'.repeat(100_000)
const packed = {
  '': Buffer.from(text),
  '.gz': gzipSync(text),
  '.zst': zstdCompressSync(text),
  '.xz':
    missing('xz').length > 0
      ? undefined
      : Buffer.from(await must('sh', ['-c', 'xz | base64'], { input: text }), 'base64'),
}

async function read(stream: Readable): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream as AsyncIterable<Uint8Array>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

describe.each(['', '.gz', '.zst', '.xz'] as const)('unpack %j', packing => {
  const bytes = packed[packing]

  it.skipIf(!bytes)('gives the content back (needs xz for .xz)', async () => {
    expect(await read(unpack(Readable.from([bytes]), packing))).toBe(text)
    const pieces = Array.from({ length: Math.ceil(bytes!.length / 7) }, (_, i) =>
      bytes!.subarray(7 * i, 7 * i + 7),
    )
    if (bytes!.length < 10_000) expect(await read(unpack(Readable.from(pieces), packing))).toBe(text)
  })

  if (packing !== '')
    it.skipIf(!bytes)(
      'rejects a truncated input, also when it fails before it is read (needs xz for .xz)',
      async () => {
        const early = unpack(Readable.from([bytes!.subarray(0, -5)]), packing)
        await setTimeout(100)
        await expect(read(early)).rejects.toThrow()
        await expect(read(unpack(Readable.from([Buffer.from('neither')]), packing))).rejects.toThrow()
      },
    )

  it.skipIf(!bytes)('passes on an error of the input (needs xz for .xz)', async () => {
    const failing = async function* () {
      yield bytes!.subarray(0, 10)
      throw new RangeError('cable')
    }
    await expect(read(unpack(Readable.from(failing()), packing))).rejects.toThrow('cable')
  })

  it.skipIf(!bytes)('can be abandoned in the middle, many times (needs xz for .xz)', async () => {
    for (let i = 0; i < 20; i++) {
      for await (const _ of unpack(Readable.from([bytes]), packing)) break
    }
    expect(await read(unpack(Readable.from([bytes]), packing))).toBe(text)
  })
})
