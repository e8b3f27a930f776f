import type { Readable } from 'node:stream'
import { collect } from '../content/read.ts'
import type { ReadableStore } from '../content/store.ts'
import { type Packing, unpack } from '../content/unpack.ts'
import type { Descriptor } from '../core/descriptor.ts'
import { AirgapError } from '../core/errors.ts'
import { Unreadable } from './unreadable.ts'

const magics: readonly [Packing, Buffer][] = [
  ['.gz', Buffer.from([0x1f, 0x8b])],
  ['.zst', Buffer.from([0x28, 0xb5, 0x2f, 0xfd])],
  ['.xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00])],
  ['.bz2', Buffer.from('BZh')],
]

/** Frames that hold no data, with which zstd:chunked layers may start. */
const skippableFrame = Buffer.from([0x2a, 0x4d, 0x18])

/**
 * Yields the tar of a layer. The compression is known by its first bytes, as runtimes do (containerd, `DetectCompression`): media types
 * are often wrong. The layer is read to its end, so that a wrong digest is noticed: throws what the store throws, and Unreadable where
 * it cannot be decompressed.
 */
export async function* layerTar(store: ReadableStore, layer: Descriptor): AsyncGenerator<Uint8Array> {
  const packing = await packingOf(store, layer)
  const body = await store.open(layer)
  let failure: unknown
  body.on('error', error => {
    failure ??= error
  })
  const unpacked = unpack(body, packing)
  try {
    yield* unpacked as AsyncIterable<Uint8Array>
    await drain(body)
  } catch (error) {
    if (failure instanceof AirgapError) throw failure
    if (error instanceof AirgapError || error instanceof Unreadable) throw error
    throw new Unreadable(
      `it cannot be decompressed: ${error instanceof Error ? error.message : String(error)}`,
    )
  } finally {
    unpacked.destroy()
    body.destroy()
  }
  if (failure !== undefined) throw failure
}

/** What follows the end of the compressed data still belongs to the digest. */
async function drain(body: Readable): Promise<void> {
  if (body.readableEnded || body.destroyed) return
  for await (const _ of body);
}

async function packingOf(store: ReadableStore, layer: Descriptor): Promise<Packing> {
  const end = Math.min(6, layer.size)
  if (end === 0) return ''
  const start = await collect(await store.open(layer, { start: 0, end }), end)
  const found = magics.find(([, magic]) => start.subarray(0, magic.length).equals(magic))
  if (found !== undefined) return found[0]
  return (start[0]! & 0xf0) === 0x50 && start.subarray(1, 4).equals(skippableFrame) ? '.zst' : ''
}
