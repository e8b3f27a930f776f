import { randomBytes } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BlockHasher, verifiedParts } from '../../src/content/block-digests.ts'
import { LayoutStore } from '../../src/content/layout-store.ts'
import { digestOf } from '../../src/core/digest.ts'
import { mediaTypes } from '../../src/core/media-types.ts'

describe('parts of a document that was verified before', () => {
  let folder: string
  let cache: LayoutStore
  const bytes = randomBytes(100_000)
  const descriptor = { mediaType: mediaTypes.octets, digest: digestOf(bytes), size: bytes.length }
  const ranges = [
    { start: 0, end: 5 },
    { start: 16_380, end: 16_390 },
    { start: 16_384, end: 32_768 },
    { start: 10_000, end: 90_000 },
    { start: 99_990, end: 100_000 },
  ]
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'airgap-blocks-'))
    cache = await LayoutStore.open(folder)
    await cache.push(descriptor, Readable.from([bytes]))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const digestsOf = (size: number) => {
    const hasher = new BlockHasher()
    for (let at = 0; at < bytes.length; at += size) hasher.update(bytes.subarray(at, at + size))
    return hasher.digests()
  }

  it.each([1, 1000, 16_384, 70_000, 100_000])(
    'are the same when it came in parts of %i bytes',
    async size => {
      const digests = digestsOf(size)
      const parts = await verifiedParts(cache, descriptor, { ranges, digests })
      expect(parts).toEqual(ranges.map(({ start, end }) => bytes.subarray(start, end)))
    },
  )

  it('are refused where a byte of their blocks has changed, and only there', async () => {
    const digests = digestsOf(5000)
    const file = await open(cache.pathOf(descriptor), 'r+')
    await file.write(Buffer.from([bytes[40_000]! ^ 1]), 0, 1, 40_000)
    await file.close()
    for (const range of ranges) {
      const read = verifiedParts(cache, descriptor, { ranges: [range], digests })
      if (range.end - range.start === 80_000)
        await expect(read).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
      else expect(await read).toEqual([bytes.subarray(range.start, range.end)])
    }
  })
})
