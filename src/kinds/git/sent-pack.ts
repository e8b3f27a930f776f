import { createHash } from 'node:crypto'
import type { ReadableStore } from '../../content/store.ts'
import type { Descriptor } from '../../core/descriptor.ts'

const headerSize = 12 /* bytes: PACK, version, number of objects */
const checksumSize = 20 /* bytes */

/**
 * Several packs as one: their objects behind one header. No pack has deltas, so each object means the same anywhere. The checksum at the
 * end is sent once the store has verified every pack: a client never accepts wrong bytes.
 */
export async function* sentPack(
  packs: readonly Descriptor[],
  store: ReadableStore,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha1')
  const counts = await Promise.all(packs.map(pack => objectCount(pack, store)))
  const header = Buffer.from('PACK\0\0\0\u0002\0\0\0\0', 'latin1')
  header.writeUInt32BE(
    counts.reduce((sum, count) => sum + count, 0),
    8,
  )
  hash.update(header)
  yield header
  for (const pack of packs) {
    let position = 0
    for await (const chunk of (await store.open(pack)) as AsyncIterable<Uint8Array>) {
      const start = Math.max(headerSize - position, 0)
      const end = Math.min(pack.size - checksumSize - position, chunk.length)
      position += chunk.length
      if (end <= start) continue
      // the memory of a chunk belongs to its reader: what is sent later must not change
      const part = Buffer.from(chunk.subarray(start, end))
      hash.update(part)
      yield part
    }
  }
  yield hash.digest()
}

async function objectCount(pack: Descriptor, store: ReadableStore): Promise<number> {
  const chunks: Uint8Array[] = []
  for await (const chunk of (await store.open(pack, {
    start: 0,
    end: headerSize,
  })) as AsyncIterable<Uint8Array>)
    chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).readUInt32BE(8)
}
