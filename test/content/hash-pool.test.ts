import { spawnSync } from 'node:child_process'
import { type FileHandle, open, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { hashPool } from '../../src/content/hash-pool.ts'
import { digestOf } from '../../src/core/digest.ts'
import { noise, tempFolder } from '../bundle/samples.ts'

const MiB = 1 << 20
const bytes = Buffer.from(noise(40 * MiB + 3, 7))

async function sampleFile(): Promise<{ path: string; file: FileHandle }> {
  const path = join(await tempFolder(), 'file')
  await writeFile(path, bytes)
  const file = await open(path)
  onTestFinished(() => file.close())
  return { path, file }
}

function testPool(size?: number) {
  const pool = hashPool(size === undefined ? {} : { size })
  onTestFinished(() => pool.close())
  return pool
}

describe('idle threads', () => {
  it('can be ended by a program that has nothing else left to do', () => {
    const child = join(import.meta.dirname, 'end-threads-child.ts')
    const { status, stdout } = spawnSync(process.execPath, [child], { encoding: 'utf8' })
    expect([status, stdout]).toEqual([0, 'all ended\n'])
  })
})

describe('hashPool', () => {
  it('hashes parts of a file, several of them as one content, and none at all', async () => {
    const { fd } = (await sampleFile()).file
    const pool = testPool(2)
    const parts = [
      { start: 0, end: bytes.length },
      { start: 5, end: 6 },
      { start: MiB - 1, end: 3 * MiB + 1 },
    ]
    const digests = await Promise.all(parts.map(part => pool.hash([{ fd, ...part }])))
    expect(digests).toEqual(parts.map(({ start, end }) => digestOf(bytes.subarray(start, end))))
    const two = Buffer.concat([bytes.subarray(7, 9), bytes.subarray(1, 2)])
    const extents = [
      { fd, start: 7, end: 9 },
      { fd, start: 1, end: 2 },
    ]
    expect(await pool.hash(extents)).toBe(digestOf(two))
    expect(await pool.hash([])).toBe(digestOf(''))
  })

  it('counts each byte once', async () => {
    const { fd } = (await sampleFile()).file
    const counts: number[] = []
    const advance = (read: number) => void counts.push(read)
    await testPool(1).hash([{ fd, start: 1, end: bytes.length }], { advance })
    expect(counts.length).toBeGreaterThan(1)
    expect(counts.reduce((sum, read) => sum + read)).toBe(bytes.length - 1)
  })

  it('reports a file that ended before, by name, and goes on with the next', async () => {
    const { path, file } = await sampleFile()
    const { fd } = file
    const pool = testPool(1)
    await truncate(path, 2 * MiB)
    const short = pool.hash([{ fd, start: MiB, end: 3 * MiB }], { item: path })
    const rest = pool.hash([{ fd, start: MiB, end: 2 * MiB }])
    await expect(short).rejects.toMatchObject({ code: 'IO', item: path, message: /ends at byte 2097152/ })
    expect(await rest).toBe(digestOf(bytes.subarray(MiB, 2 * MiB)))
  })

  it('reports what the system says', async () => {
    const folder = await open(await tempFolder())
    onTestFinished(() => folder.close())
    const read = testPool(1).hash([{ fd: folder.fd, start: 0, end: 1 }], { item: 'a folder' })
    await expect(read).rejects.toMatchObject({ code: 'USAGE', item: 'a folder' })
  })

  it('stops work that was cancelled, running or waiting, and leaves the rest', async () => {
    const { fd } = (await sampleFile()).file
    const pool = testPool(1)
    const whole = { fd, start: 0, end: bytes.length }
    const reason = new Error('nobody waits')
    const stop = new AbortController()
    const { signal } = stop
    const many = Array.from({ length: 1_000 }, () => whole)
    const running = pool.hash(many, { signal, advance: () => stop.abort(reason) })
    const waiting = pool.hash([whole], { signal })
    const other = pool.hash([whole])
    const cancelled = { status: 'rejected', reason }
    expect(await Promise.allSettled([running, waiting])).toEqual([cancelled, cancelled])
    await expect(pool.hash([whole], { signal })).rejects.toBe(reason)
    expect(await other).toBe(digestOf(bytes))
  })

  it('hashes many pieces in one request, and copies those that have a place', async () => {
    const { path, file } = await sampleFile()
    const folder = await tempFolder()
    const copy = await open(join(folder, 'copy'), 'w+')
    onTestFinished(() => copy.close())
    const starts = [0, 3, 3, 4, 700, 300_000, 2 * MiB, 2 * MiB, 9 * MiB]
    const extents = starts.slice(1).map((end, i) => ({ fd: file.fd, start: starts[i]!, end }))
    const pieces = [
      ...extents.map(extent => ({ from: [extent], to: { fd: copy.fd, start: extent.start } })),
      { from: { path, size: bytes.length }, to: { fd: copy.fd, start: 9 * MiB } },
      { from: [{ fd: file.fd, start: 1, end: 3 }, extents[0]!] },
      { from: { path, size: bytes.length - 1 }, to: { fd: copy.fd, start: 0 } },
      { from: { path: join(folder, 'none'), size: 1 } },
      { from: { path: folder, size: 1 } },
    ]
    const results = await testPool(1).hashEach(pieces)
    const contents = [
      ...extents.map(({ start, end }) => bytes.subarray(start, end)),
      bytes,
      Buffer.concat([bytes.subarray(1, 3), bytes.subarray(0, 3)]),
    ]
    expect(results.slice(0, contents.length)).toEqual(contents.map(content => digestOf(content)))
    expect(results.slice(contents.length)).toMatchObject([
      { code: 'SIZE_MISMATCH', item: path },
      { code: 'FILE_NOT_FOUND', item: join(folder, 'none') },
      { code: 'SIZE_MISMATCH', item: folder },
    ])
    const written = Buffer.concat([bytes.subarray(0, 9 * MiB), bytes])
    expect((await copy.readFile()).equals(written)).toBe(true)
  })

  it('names the file that cannot be written', async () => {
    const { path } = await sampleFile()
    const full = await open('/dev/full', 'w')
    onTestFinished(() => full.close())
    const [result] = await testPool(1).hashEach(
      [{ from: { path, size: bytes.length }, to: { fd: full.fd, start: 0 } }],
      { item: 'source', target: 'bundle' },
    )
    expect(result).toMatchObject({ code: 'NO_SPACE', item: 'bundle' })
  })

  it('fails what is left when it is closed', async () => {
    const { fd } = (await sampleFile()).file
    const pool = hashPool({ size: 1 })
    const extents = Array.from({ length: 1_000 }, () => ({ fd, start: 0, end: bytes.length }))
    const all = [pool.hash(extents), pool.hash(extents)]
    const settled = Promise.allSettled(all)
    await pool.close()
    for (const result of await settled)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'INTERNAL' } })
    await expect(pool.hash([])).rejects.toMatchObject({ code: 'INTERNAL' })
  })
})
