import { Unreadable } from './unreadable.ts'

/** Reads the blobs of rpm's own database, `Packages.db` (rpm, lib/backend/ndb/rpmpkg.c), in memory. */

const word = (text: string) => Buffer.from(text, 'latin1').readUInt32LE(0)
const fileMagic = word('RpmP')
const slotMagic = word('Slot')
const blobMagic = word('BlbS')
const pageSize = 4096 /* bytes of slots */
const slotSize = 16
const blockSize = 16

/** Throws Unreadable. */
export function* ndbBlobs(file: Buffer): Generator<Buffer> {
  if (file.length < 32 || file.readUInt32LE(0) !== fileMagic)
    throw new Unreadable('it is not a database of rpm')
  const end = file.readUInt32LE(12) * pageSize
  if (end > file.length) throw new Unreadable('the database ends in the middle of its slots')
  // the header takes the place of the first two slots
  for (let at = 2 * slotSize; at < end; at += slotSize) {
    if (file.readUInt32LE(at) !== slotMagic) throw new Unreadable('the database has a damaged slot')
    const index = file.readUInt32LE(at + 4)
    if (index === 0) continue
    const start = file.readUInt32LE(at + 8) * blockSize
    if (
      start + 16 > file.length ||
      file.readUInt32LE(start) !== blobMagic ||
      file.readUInt32LE(start + 4) !== index
    )
      throw new Unreadable('the database has a damaged blob')
    const size = file.readUInt32LE(start + 12)
    if (start + 16 + size > file.length) throw new Unreadable('the database ends in the middle of a blob')
    yield file.subarray(start + 16, start + 16 + size)
  }
}
