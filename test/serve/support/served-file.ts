import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { openBundle } from '../../../src/bundle/reader.ts'
import { MemoryStore } from '../../../src/content/memory-store.ts'
import type { ReadableStore } from '../../../src/content/store.ts'
import { treeArtifacts } from '../../../src/content/tree.ts'
import type { ByteRange, Descriptor } from '../../../src/core/descriptor.ts'
import { createHttpServer } from '../../../src/serve/files.ts'
import type { AccessEntry, ServerOptions } from '../../../src/serve/served.ts'
import { mergedStore } from '../../../src/site/content.ts'
import { describeBytes, noise, tempFolder } from '../../bundle/samples.ts'
import { writeBundle } from '../../site/support/sample-site.ts'
import { openSocket, put, start } from './servers.ts'

export const fileSize = 6_000_000 /* bytes */

/** A bundle with one file, open; its state is settled. */
export async function bundleWithFile(size = fileSize) {
  const path = `${await tempFolder()}/b.tar`
  const bytes = noise(size, 7)
  const descriptor = describeBytes(bytes)
  const files = [{ path: 'big.bin', mode: '100644' as const, descriptor, origin: { bytes } }]
  await writeBundle(path, treeArtifacts({ name: 'files', kind: 'file', files }))
  const bundle = await openBundle(path)
  onTestFinished(() => bundle.close())
  const entry = bundle.entries().find(one => one.digest === descriptor.digest && one.type === 'file')!
  await sleep(70)
  return { path, bytes, descriptor, offset: entry.dataOffset, bundle }
}

/** The file at `/files/big.bin`, served over HTTP from the open tar; `counted`: through a store that counts what is read. */
export async function servedFile({
  counted = false,
  ...options
}: ServerOptions & { counted?: boolean } = {}) {
  const file = await bundleWithFile()
  const reads = { bytes: 0 }
  const merged = mergedStore([file.bundle, new MemoryStore()])
  const store = counted ? countedStore(merged, reads) : merged
  const entries = new Map([['big.bin', { descriptor: file.descriptor, mode: '100644' as const }]])
  const log: AccessEntry[] = []
  const server = createHttpServer(store, [{ prefix: '/files', entries }], {
    log: entry => log.push(entry),
    ...options,
  })
  const running = await start(server)
  /** The body as far as it arrived; of an answer that is not a success, its status alone. `during` runs once the first bytes have arrived. */
  async function fetched(
    range?: string,
    during?: () => Promise<void>,
  ): Promise<{ status: number; body: Buffer; isComplete: boolean }> {
    const socket = openSocket(running.port)
    const header = range === undefined ? '' : `Range: bytes=${range}\r\n`
    socket.write(`GET /files/big.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${header}\r\n`)
    if (during !== undefined) {
      await new Promise(resolve => socket.once('readable', resolve))
      await during()
    }
    const chunks: Buffer[] = []
    socket.on('data', chunk => chunks.push(Buffer.from(chunk)))
    await new Promise(resolve => socket.once('close', resolve))
    const all = Buffer.concat(chunks)
    const end = all.indexOf('\r\n\r\n')
    const head = all.subarray(0, end).toString('latin1')
    const body = all.subarray(end + 4)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
    return { status: Number(head.slice(9, 12)), body, isComplete: body.length === length }
  }
  return { ...file, running, reads, log, fetched }
}

function countedStore(store: ReadableStore, reads: { bytes: number }): ReadableStore {
  return {
    exists: descriptor => store.exists(descriptor),
    state: async descriptor => (await store.state?.(descriptor)) ?? '',
    async open(descriptor: Descriptor, range?: ByteRange) {
      reads.bytes += range === undefined ? descriptor.size : range.end - range.start
      return await store.open(descriptor, range)
    },
  }
}

export async function overwrite(path: string, at: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(bytes, 0, bytes.length, at)
  await file.close()
}

/** A store whose reads take a while, and count. */
export async function slowStore(bytes: number) {
  const memory = new MemoryStore()
  const descriptor = await put(memory, noise(bytes, 3))
  const reads = { bytes: 0, running: 0, most: 0 }
  const store = {
    memory,
    reads,
    exists: (one: Descriptor) => memory.exists(one),
    async open(one: Descriptor, range?: ByteRange) {
      reads.running++
      reads.most = Math.max(reads.most, reads.running)
      await sleep(5)
      reads.running--
      reads.bytes += range === undefined ? one.size : range.end - range.start
      return await memory.open(one, range)
    },
  }
  return { descriptor, store, reads }
}
