import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  stat,
  statfs,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { planLayout } from '../../src/bundle/layout.ts'
import { BundleWriter, type Slot } from '../../src/bundle/writer.ts'
import { treeArtifacts } from '../../src/content/tree.ts'
import { type Digest, digestOf } from '../../src/core/digest.ts'
import { mediaTypes } from '../../src/core/media-types.ts'
import { silentProgress } from '../../src/core/progress.ts'
import {
  bundleBytes,
  layoutOf,
  noise,
  type Sample,
  sampleInfo,
  smallSample,
  tempFolder,
  treeSample,
  writeBundle,
} from './samples.ts'

const refused = (code: string) => expect.objectContaining({ code })
const MiB = 1 << 20

const large = noise(3 * MiB + 77, 11)
const sample = treeSample('files', { large, small: noise(1000, 12) })
const layout = layoutOf(sample)

/** Notes that a writer makes while opening. */
async function openNoting(path: string, of = layout): Promise<{ writer: BundleWriter; notes: string[] }> {
  const notes: string[] = []
  const progress = { ...silentProgress, note: (text: string) => notes.push(text) }
  return { writer: await BundleWriter.open(path, of, { progress }), notes }
}

async function fill(slot: Slot, bytes = sample.contents.get(slot.descriptor.digest)!): Promise<void> {
  for (let at = slot.received; at < bytes.length; at += 60_000)
    await slot.write(bytes.subarray(at, at + 60_000))
  await slot.finish()
}

async function sealedDigest(of: Sample): Promise<Digest> {
  return digestOf(await bundleBytes(of))
}

describe('BundleWriter', () => {
  it('writes the same bytes whatever the order and size of writes, and leaves no other file', async () => {
    const folder = await tempFolder()
    const path = join(folder, 'a.tar')
    const writer = await BundleWriter.open(path, layout)
    const slots = writer.pending()
    expect(slots.map(slot => slot.descriptor.size)).toEqual([large.length, 1000])
    await Promise.all(slots.reverse().map(slot => fill(slot)))
    expect(await writer.seal()).toEqual({ path, size: layout.size })
    expect(await readdir(folder)).toEqual(['a.tar'])
    expect(digestOf(await readFile(path))).toBe(await sealedDigest(sample))
  })

  it('does not show the final name before seal, and refuses to seal what is incomplete', async () => {
    const folder = await tempFolder()
    const writer = await BundleWriter.open(join(folder, 'a.tar'), layout)
    await fill(writer.pending()[0]!)
    await expect(writer.seal()).rejects.toThrow(refused('INCOMPLETE'))
    await writer.close()
    expect((await readdir(folder)).sort()).toEqual(['a.tar.partial', 'a.tar.partial.journal'])
  })

  it('continues in the middle of a blob after close', async () => {
    const path = join(await tempFolder(), 'a.tar')
    const first = await BundleWriter.open(path, layout)
    const [slot] = first.pending()
    slot!.validator = '"v1"'
    await slot!.write(large.subarray(0, 1_500_000))
    await first.close()
    const second = await BundleWriter.open(path, layout)
    const [again] = second.pending()
    expect(again).toMatchObject({ received: 1_500_000, validator: '"v1"' })
    for (const each of second.pending()) await fill(each)
    await second.seal()
    expect(digestOf(await readFile(path))).toBe(await sealedDigest(sample))
  })

  it.each(['the same', 'another'])('hashes complete slots again, within %s boot', async boot => {
    const path = join(await tempFolder(), 'a.tar')
    const first = await BundleWriter.open(path, layout)
    for (const slot of first.pending()) await fill(slot)
    await first.close()
    if (boot === 'another') {
      const journal = await readFile(`${path}.partial.journal`, 'utf8')
      await writeFile(`${path}.partial.journal`, journal.replace(/"boot":"[^"]*"/, '"boot":"another"'))
    }
    const second = await openNoting(path)
    expect(second.writer.pending()).toEqual([])
    expect(second.notes).toEqual([expect.stringContaining('verifying 2 blobs')])
    await second.writer.close()
  })

  it('does not trust the journal: an edited slot is fetched again', async () => {
    const path = join(await tempFolder(), 'a.tar')
    const first = await BundleWriter.open(path, layout)
    for (const slot of first.pending()) await fill(slot)
    await first.close()
    const bytes = await readFile(`${path}.partial`)
    const entry = layout.entries.find(candidate => candidate.digest === digestOf(large))!
    bytes[entry.dataOffset + 1234]! ^= 1
    await writeFile(`${path}.partial`, bytes)
    const second = await BundleWriter.open(path, layout)
    expect(second.pending().map(slot => slot.descriptor.digest)).toEqual([digestOf(large)])
    for (const slot of second.pending()) await fill(slot)
    await second.seal()
    expect(digestOf(await readFile(path))).toBe(await sealedDigest(sample))
  })

  it('fetches again what a power failure lost: complete slots without some bytes, and all unfinished ones', async () => {
    const path = join(await tempFolder(), 'a.tar')
    const first = await BundleWriter.open(path, layout)
    const [big, little] = first.pending()
    await fill(little!)
    await big!.write(large.subarray(0, 2 * MiB))
    await first.close()
    const entry = layout.entries.find(candidate => candidate.digest === little!.descriptor.digest)!
    const bytes = await readFile(`${path}.partial`)
    bytes.fill(0, entry.dataOffset, entry.dataOffset + 100)
    await writeFile(`${path}.partial`, bytes)
    const journal = await readFile(`${path}.partial.journal`, 'utf8')
    await writeFile(`${path}.partial.journal`, journal.replace(/"boot":"[^"]*"/, '"boot":"another"'))
    const second = await BundleWriter.open(path, layout)
    expect(second.pending().map(slot => slot.received)).toEqual([0, 0])
    for (const slot of second.pending()) await fill(slot)
    await second.seal()
    expect(digestOf(await readFile(path))).toBe(await sealedDigest(sample))
  })

  it.each([
    ['a torn last line', (text: string) => `${text}{"complete":"sha2`],
    ['garbage at its end', (text: string) => `${text}\0\0\0\0`],
    ['nothing but its first line', (text: string) => `${text.split('\n')[0]}\n`],
    ['no bytes', () => ''],
    ['garbage', () => '\u0001garbage\n{}\n'],
  ])('continues from a journal with %s', async (_what, damage) => {
    const path = join(await tempFolder(), 'a.tar')
    const first = await BundleWriter.open(path, layout)
    await fill(first.pending()[0]!)
    await first.close()
    const journal = `${path}.partial.journal`
    await writeFile(journal, damage(await readFile(journal, 'utf8')))
    const second = await BundleWriter.open(path, layout)
    for (const slot of second.pending()) await fill(slot)
    await second.seal()
    expect(digestOf(await readFile(path))).toBe(await sealedDigest(sample))
  })

  it('starts over for another layout, and notes it', async () => {
    const path = join(await tempFolder(), 'a.tar')
    const first = await BundleWriter.open(path, layout)
    for (const slot of first.pending()) await fill(slot)
    await first.close()
    const other = smallSample()
    const { writer, notes } = await openNoting(path, layoutOf(other))
    expect(notes).toEqual([expect.stringContaining('starting over')])
    for (const slot of writer.pending()) await fill(slot, other.contents.get(slot.descriptor.digest)!)
    await writer.seal()
    expect(digestOf(await readFile(path))).toBe(await sealedDigest(other))
  })

  it('replaces an older bundle of the same name only when it is complete', async () => {
    const path = join(await tempFolder(), 'a.tar')
    await writeBundle(path, smallSample())
    const before = await readFile(path)
    const writer = await BundleWriter.open(path, layout)
    expect(digestOf(await readFile(path))).toBe(digestOf(before))
    for (const slot of writer.pending()) await fill(slot)
    await writer.seal()
    expect(digestOf(await readFile(path))).toBe(await sealedDigest(sample))
  })

  it('reports a missing folder, a folder in place of the output, and a link in place of the unfinished bundle', async () => {
    const folder = await tempFolder()
    await expect(BundleWriter.open(join(folder, 'no', 'a.tar'), layout)).rejects.toThrow(
      refused('FILE_NOT_FOUND'),
    )
    await mkdir(join(folder, 'b.tar'))
    await expect(BundleWriter.open(join(folder, 'b.tar'), layout)).rejects.toThrow(refused('USAGE'))
    await writeFile(join(folder, 'victim'), 'keep')
    await symlink('victim', join(folder, 'c.tar.partial'))
    await expect(BundleWriter.open(join(folder, 'c.tar'), layout)).rejects.toThrow(refused('PERMISSION'))
    expect(await readFile(join(folder, 'victim'), 'utf8')).toBe('keep')
  })

  it('reports how many bytes are needed before it writes any', async () => {
    const folder = await tempFolder()
    const { bavail, bsize } = await statfs(folder)
    const size = bavail * bsize + 1024 ** 4
    const descriptor = { mediaType: mediaTypes.octets, digest: digestOf('huge'), size }
    const files = [{ path: 'huge', mode: '100644' as const, descriptor, origin: { sources: [] } }]
    const huge = planLayout(treeArtifacts({ name: 'f', kind: 'file', files }), sampleInfo)
    await expect(BundleWriter.open(join(folder, 'a.tar'), huge)).rejects.toThrow(
      expect.objectContaining({
        code: 'NO_SPACE',
        exitCode: 7,
        message: expect.stringMatching(/\d+ MiB are needed, \d+ MiB are free/),
      }),
    )
    expect(await readdir(folder)).toEqual([])
  })

  it('fault 78: a second build of the same output stops with exit code 10, and works once the first is done', async () => {
    const path = join(await tempFolder(), 'a.tar')
    const first = await BundleWriter.open(path, layout)
    await expect(BundleWriter.open(path, layout)).rejects.toThrow(
      expect.objectContaining({ code: 'BUSY', exitCode: 10 }),
    )
    await first.close()
    await (await BundleWriter.open(path, layout)).close()
  })

  it('allocates every block of the file at the start', async () => {
    const path = join(await tempFolder(), 'a.tar')
    const writer = await BundleWriter.open(path, layout)
    expect((await stat(`${path}.partial`)).size).toBe(layout.size)
    await writer.close()
  })
})

describe('resuming', () => {
  it('ends with the same bytes wherever it was interrupted', async () => {
    const folder = await tempFolder()
    const expected = await sealedDigest(sample)
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ slot: fc.nat(1), bytes: fc.nat(1_300_000) }) },
      { weight: 1, arbitrary: fc.constant('stop' as const) },
      { weight: 1, arbitrary: fc.record({ restart: fc.nat(1) }) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
        const path = join(await mkdtemp(join(folder, 'run-')), 'a.tar')
        let writer = await BundleWriter.open(path, layout)
        for (const each of steps) {
          const slots = writer.pending()
          if (each === 'stop') {
            await writer.close()
            writer = await BundleWriter.open(path, layout)
          } else if ('restart' in each) {
            await slots[each.restart]?.restart()
          } else {
            const slot = slots[each.slot]
            const bytes = slot && sample.contents.get(slot.descriptor.digest)!
            await slot?.write(bytes!.subarray(slot.received, slot.received + each.bytes))
          }
        }
        for (const slot of writer.pending()) await fill(slot)
        await writer.seal()
        expect(digestOf(await readFile(path))).toBe(expected)
      }),
      { numRuns: 20 },
    )
  })
})

describe('Slot', () => {
  async function openSlot(): Promise<{ writer: BundleWriter; slot: Slot; path: string }> {
    const path = join(await tempFolder(), 'a.tar')
    const writer = await BundleWriter.open(path, layout)
    return { writer, slot: writer.pending()[0]!, path }
  }

  it('refuses the first byte too many, and starts over', async () => {
    const { writer, slot } = await openSlot()
    await slot.write(large)
    await expect(slot.write(Buffer.from('x'))).rejects.toThrow(refused('SIZE_MISMATCH'))
    expect(slot.received).toBe(0)
    await fill(slot)
    expect(slot.complete).toBe(true)
    await writer.close()
  })

  it('keeps a body that ended early, and continues there', async () => {
    const { writer, slot } = await openSlot()
    await slot.write(large.subarray(0, 2_000_000))
    await expect(slot.finish()).rejects.toThrow(refused('SIZE_MISMATCH'))
    expect(slot.received).toBe(2_000_000)
    await fill(slot)
    await writer.close()
  })

  it('discards wrong bytes, also for the next run', async () => {
    const { writer, slot, path } = await openSlot()
    const wrong = Buffer.from(large)
    wrong[wrong.length >> 1]! ^= 1
    await slot.write(wrong)
    await expect(slot.finish()).rejects.toThrow(refused('DIGEST_MISMATCH'))
    expect([slot.complete, slot.received]).toEqual([false, 0])
    await writer.close()
    const second = await BundleWriter.open(path, layout)
    expect(second.pending().map(each => [each.descriptor.size, each.received])).toContainEqual([
      large.length,
      0,
    ])
    await second.close()
  })

  it('restarts at 0 with another validator', async () => {
    const { writer, slot } = await openSlot()
    await slot.write(large.subarray(0, 1_200_000))
    await slot.restart('"v2"')
    expect(slot).toMatchObject({ received: 0, validator: '"v2"' })
    for (const each of writer.pending()) await fill(each)
    await writer.seal()
  })

  it('accepts no bytes once it is complete or the writer is closed', async () => {
    const { writer, slot } = await openSlot()
    await fill(slot)
    await expect(slot.write(Buffer.from('x'))).rejects.toThrow(refused('INTERNAL'))
    const [other] = writer.pending()
    await writer.close()
    await expect(other!.write(Buffer.from('x'))).rejects.toThrow(refused('INTERNAL'))
  })

  it('lets the caller reuse its buffer', async () => {
    const { writer, slot } = await openSlot()
    const chunk = Buffer.alloc(50_000)
    for (let at = 0; at < large.length; at += chunk.length) {
      const length = large.copy(chunk, 0, at)
      await slot.write(chunk.subarray(0, length))
      chunk.fill(0)
    }
    await slot.finish()
    await writer.close()
  })

  it('does not trust a journal with more bytes than the slot has', async () => {
    const { writer, slot, path } = await openSlot()
    await writer.close()
    const line = { slot: slot.descriptor.digest, received: large.length * 10 }
    await appendFile(`${path}.partial.journal`, `${JSON.stringify(line)}\n`)
    const second = await BundleWriter.open(path, layout)
    const again = second.pending()[0]!
    expect(again.received).toBe(large.length)
    await expect(again.finish()).rejects.toThrow(refused('DIGEST_MISMATCH'))
    await fill(again)
    await second.close()
  })
})
