import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { hashStreams } from '../../src/content/hash-streams.ts'
import { digestOf } from '../../src/core/digest.ts'
import { noise, tempFolder } from '../bundle/samples.ts'

const MiB = 1 << 20

function testStreams() {
  const streams = hashStreams()
  onTestFinished(() => streams.close())
  return streams
}

function shared(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length))
  copy.set(bytes)
  return copy
}

async function sampleFile(bytes: Uint8Array = new Uint8Array()) {
  const path = join(await tempFolder(), 'file')
  await writeFile(path, bytes)
  const file = await open(path, 'r+')
  onTestFinished(() => file.close())
  return file
}

describe('hashStreams', () => {
  it('hash and write several contents at once, each in parts', async () => {
    const streams = testStreams()
    const contents = [3 * MiB + 1, 700_000, 1].map((size, i) => Buffer.from(noise(size, i + 1)))
    const results = contents.map(async content => {
      const file = await sampleFile()
      const stream = streams.open()
      for (let at = 0; at < content.length; at += 300_000) {
        const part = shared(content.subarray(at, at + 300_000))
        await stream.write(part, { fd: file.fd, start: at })
      }
      expect((await file.readFile()).equals(content)).toBe(true)
      return await stream.digest()
    })
    expect(await Promise.all(results)).toEqual(contents.map(content => digestOf(content)))
    expect(await streams.open().digest()).toBe(digestOf(''))
  })

  it('continue after what a file already has', async () => {
    const bytes = Buffer.from(noise(MiB, 9))
    const file = await sampleFile(bytes.subarray(0, 600_000))
    const stream = testStreams().open()
    await stream.read({ fd: file.fd, start: 0, end: 600_000 })
    await stream.write(shared(bytes.subarray(600_000)), { fd: file.fd, start: 600_000 })
    expect(await stream.digest()).toBe(digestOf(bytes))
    expect((await file.readFile()).equals(bytes)).toBe(true)
  })

  it('throw what the system reports, and leave the others', async () => {
    const streams = testStreams()
    const [failing, other] = [streams.open(), streams.open()]
    const full = await open('/dev/full', 'w')
    onTestFinished(() => full.close())
    const writing = failing.write(shared(noise(10, 1)), { fd: full.fd, start: 0 })
    await expect(writing).rejects.toMatchObject({ code: 'ENOSPC' })
    failing.close()
    const file = await sampleFile(noise(5, 2))
    await expect(other.read({ fd: file.fd, start: 0, end: 6 })).rejects.toMatchObject({ code: 'ENDED' })
    const third = streams.open()
    await third.read({ fd: file.fd, start: 0, end: 5 })
    expect(await third.digest()).toBe(digestOf(noise(5, 2)))
  })

  it('fail where their threads are lost, instead of waiting for them', async () => {
    const streams = hashStreams()
    const file = await sampleFile(noise(40 * MiB, 1))
    const stream = streams.open()
    const reading = stream.read({ fd: file.fd, start: 0, end: 40 * MiB })
    const failed = expect(reading).rejects.toMatchObject({ code: 'INTERNAL' })
    await streams.close()
    await failed
    await expect(stream.digest()).rejects.toMatchObject({ code: 'INTERNAL' })
    stream.close()
  })
})
