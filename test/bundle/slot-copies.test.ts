import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openBundle } from '../../src/bundle/reader.ts'
import { verifyBundle } from '../../src/bundle/verify.ts'
import { BundleWriter, type Slot } from '../../src/bundle/writer.ts'
import { hashPool } from '../../src/content/hash-pool.ts'
import { digestOf } from '../../src/core/digest.ts'
import { localSample } from './local-sample.ts'
import { layoutOf, tempFolder, writeBundle } from './samples.ts'

const child = resolve(import.meta.dirname, '../hostile/copy-child.ts')

async function localFiles() {
  const folder = join(await tempFolder(), 'files')
  const { sample, paths } = await localSample(folder, { write: true })
  const path = join(folder, '../a.tar')
  const fileOf = (slot: Slot) => join(folder, paths.get(slot.descriptor.digest)!)
  const copiesOf = (slots: Slot[]) =>
    slots.map(slot => ({ slot, from: { path: fileOf(slot), size: slot.descriptor.size } }))
  return { path, sample, copiesOf, fileOf }
}

async function openWriter(path: string, sample: Awaited<ReturnType<typeof localFiles>>['sample']) {
  const writer = await BundleWriter.open(path, layoutOf(sample))
  onTestFinished(() => writer.close())
  return writer
}

describe('content of this host', () => {
  it('is copied by threads, with the bytes of any other build', async () => {
    const { path, sample, copiesOf } = await localFiles()
    const writer = await openWriter(path, sample)
    const copied: Slot[] = []
    const copies = copiesOf(writer.pending())
    expect(await writer.copy(copies, { signal: undefined, copied: slot => void copied.push(slot) })).toBe(
      true,
    )
    expect(new Set(copied).size).toBe(copies.length)
    await writer.seal()
    const other = join(path, '../other.tar')
    await writeBundle(other, sample)
    expect((await readFile(path)).equals(await readFile(other))).toBe(true)
  })

  it('is copied from another bundle', async () => {
    const { path, sample } = await localFiles()
    await writeBundle(path, sample)
    const store = await openBundle(path)
    onTestFinished(() => store.close())
    const second = join(path, '../second.tar')
    const writer = await openWriter(second, sample)
    const copies = await Promise.all(
      writer.pending().map(async slot => ({ slot, from: (await store.extents(slot.descriptor))! })),
    )
    await writer.copy(copies, { signal: undefined, copied() {} })
    await writer.seal()
    expect((await readFile(second)).equals(await readFile(path))).toBe(true)
  })

  it('leaves a slot empty whose file was changed, has another size, is gone or is no file', async () => {
    const { path, sample, copiesOf, fileOf } = await localFiles()
    const writer = await openWriter(path, sample)
    const [changed, longer, gone, folder, ...rest] = writer.pending()
    const bytes = await readFile(fileOf(changed!))
    bytes[bytes.length - 1]! ^= 1
    await writeFile(fileOf(changed!), bytes)
    await writeFile(fileOf(longer!), 'x', { flag: 'a' })
    await rename(fileOf(gone!), join(path, '../elsewhere'))
    await rename(fileOf(folder!), join(path, '../elsewhere'))
    spawnSync('mkfifo', [fileOf(folder!)])
    await writer.copy(copiesOf(writer.pending()), { signal: undefined, copied() {} })
    expect(rest.every(slot => slot.complete)).toBe(true)
    expect(writer.pending()).toEqual([changed, longer, gone, folder])
    for (const slot of writer.pending()) expect(slot.received).toBe(0)
    await expect(writer.seal()).rejects.toMatchObject({ code: 'INCOMPLETE' })
    for (const slot of writer.pending()) {
      await slot.write(sample.contents.get(slot.descriptor.digest)!)
      await slot.finish()
    }
    await writer.seal()
    await expect(verifyBundle(path)).resolves.toMatchObject({ artifacts: 1 })
  })

  it('stops on its signal, and the next run copies only the rest', async () => {
    const { path, sample, copiesOf } = await localFiles()
    const first = await openWriter(path, sample)
    const stop = new AbortController()
    const copying = first.copy(copiesOf(first.pending()), {
      signal: stop.signal,
      copied: () => stop.abort(),
    })
    await expect(copying).rejects.toMatchObject({ name: 'AbortError' })
    const before = first.pending().length
    await first.close()
    expect(existsSync(path)).toBe(false)
    const second = await openWriter(path, sample)
    expect(second.pending().length).toBe(before)
    await second.copy(copiesOf(second.pending()), { signal: undefined, copied() {} })
    for (const slot of second.pending()) {
      await slot.write(sample.contents.get(slot.descriptor.digest)!)
      await slot.finish()
    }
    await second.seal()
    await expect(verifyBundle(path)).resolves.toMatchObject({ artifacts: 1 })
  })

  it('reports lost threads, instead of waiting for them', async () => {
    const { path, sample, copiesOf } = await localFiles()
    const pool = hashPool({ size: 1 })
    const writer = await BundleWriter.open(path, layoutOf(sample), { pool })
    onTestFinished(() => writer.close())
    const copying = writer.copy(copiesOf(writer.pending()), { signal: undefined, copied() {} })
    await pool.close()
    await expect(copying).rejects.toMatchObject({ code: 'INTERNAL' })
  })

  it('damaged in the unfinished bundle since the last run is copied again', async () => {
    const { path, sample, copiesOf } = await localFiles()
    const first = await openWriter(path, sample)
    await first.copy(copiesOf(first.pending()), { signal: undefined, copied() {} })
    await first.close()
    const bytes = await readFile(`${path}.partial`)
    const damaged = layoutOf(sample).entries.filter(({ size }) => size > 700_000 || size === 150)
    for (const { dataOffset, size } of damaged) bytes[dataOffset + size - 1]! ^= 1
    await writeFile(`${path}.partial`, bytes)
    const second = await openWriter(path, sample)
    const digests = second.pending().map(slot => slot.descriptor.digest)
    expect(digests.sort()).toEqual(damaged.map(({ digest }) => digest).sort())
  })

  it('continues after the process was killed at random moments, and ends with the same bytes', async () => {
    const { path, sample } = await localFiles()
    const args = [child, path, join(path, '../files')]
    let kills = 0
    for (let i = 0; i < 5; i++) {
      const running = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      const ended = once(running, 'exit')
      await Promise.race([once(running.stdout, 'data'), ended])
      await Promise.race([setTimeout(Math.random() * 80), ended])
      running.kill('SIGKILL')
      const [code] = await ended
      if (code !== 0) kills++
      if (existsSync(path)) break
    }
    expect(kills).toBeGreaterThan(0)
    if (!existsSync(path)) expect(spawnSync(process.execPath, args).status).toBe(0)
    const other = join(path, '../other.tar')
    await writeBundle(other, sample)
    expect(digestOf(await readFile(path))).toBe(digestOf(await readFile(other)))
    expect((await readdir(join(path, '..'))).sort()).toEqual(['a.tar', 'files', 'other.tar'])
  })
})
