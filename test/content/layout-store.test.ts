import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LayoutStore } from '../../src/content/layout-store.ts'
import { digestOf } from '../../src/core/digest.ts'

const bytes = Buffer.alloc(2_500_000)
for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31) ^ (i >> 9)
const blob = { mediaType: 'x', digest: digestOf(bytes), size: bytes.length }

let folder: string
let store: LayoutStore
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'airgap-layout-'))
  store = await LayoutStore.open(folder)
  await store.push(blob, Readable.from([bytes]))
})
afterAll(() => rm(folder, { recursive: true }))

describe('parts of a blob', () => {
  const range = fc
    .tuple(fc.nat(bytes.length), fc.oneof(fc.nat(40), fc.nat(bytes.length)))
    .map(([start, length]) => ({ start, end: start + length }))

  it('are its bytes, in the order in which they were requested', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(range, { maxLength: 8 }), async ranges => {
        const parts = await store.parts(blob, ranges)
        expect(parts.map(part => digestOf(part))).toEqual(
          ranges.map(({ start, end }) => digestOf(bytes.subarray(start, end))),
        )
      }),
      { numRuns: 60 },
    )
  })

  it('are verified', async () => {
    const wrong = Buffer.from(bytes)
    wrong[bytes.length - 1]! ^= 1
    await writeFile(store.pathOf(blob), wrong)
    const failed = store.parts(blob, [{ start: 0, end: 10 }])
    await expect(failed).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
  })
})
