import { createHash } from 'node:crypto'

/** An object of a pack, as the index lists it. */
export interface PackEntry {
  id: string
  /** offset in the pack, bytes */
  offset: number
  /** CRC-32 of its bytes in the pack */
  crc: number
}

/** The index of a pack, version 2 (gitformat-pack(5)): the bytes that `git index-pack` writes. `entries` are sorted by id. */
export function packIndex(entries: readonly PackEntry[], packId: string): Buffer {
  const count = entries.length
  const large = entries.filter(entry => entry.offset > 0x7fff_ffff).length
  const bytes = Buffer.alloc(8 + 1024 + count * (20 + 4 + 4) + large * 8 + 40)
  bytes.write('\u00fftOc', 'latin1')
  bytes.writeUInt32BE(2, 4)
  const fanout = new Uint32Array(256)
  let position = 8 + 1024
  for (const { id } of entries) {
    const first = Number.parseInt(id.slice(0, 2), 16)
    fanout[first]!++
    position += bytes.write(id, position, 'hex')
  }
  let below = 0
  for (const [first, own] of fanout.entries()) bytes.writeUInt32BE((below += own), 8 + first * 4)
  for (const { crc } of entries) position = bytes.writeUInt32BE(crc, position)
  let nextLarge = 0
  for (const { offset } of entries)
    position = bytes.writeUInt32BE(
      offset > 0x7fff_ffff ? (0x8000_0000 + nextLarge++) >>> 0 : offset,
      position,
    )
  for (const { offset } of entries)
    if (offset > 0x7fff_ffff) position = bytes.writeBigUInt64BE(BigInt(offset), position)
  position += bytes.write(packId, position, 'hex')
  createHash('sha1').update(bytes.subarray(0, position)).digest().copy(bytes, position)
  return bytes
}
