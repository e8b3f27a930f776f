import { Unreadable } from './unreadable.ts'

/**
 * Reads the values of a Berkeley DB hash in memory, as rpm before 4.16 keeps `Packages` (Berkeley DB, `dbinc/db_page.h`). The values are read
 * page by page instead of by key: nothing is looked up.
 */

const hashMagic = 0x061561
const headerSize = 26
const hashPage = 13
const unsortedHashPage = 2
const overflowPage = 7
const onPage = 1
const offPage = 3

/** Throws Unreadable. */
export function* berkeleyValues(file: Buffer): Generator<Buffer> {
  const read = file.length >= 512 ? wordReader(file) : undefined
  if (read === undefined) throw new Unreadable('it is not a Berkeley DB hash')
  const pageSize = read.u32(20)
  if (pageSize < 512 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0)
    throw new Unreadable('the database has an impossible page size')
  if (file[24] !== 0) throw new Unreadable('the database is encrypted')
  const pages = Math.floor(file.length / pageSize)
  const seen = new Set<number>()
  for (let number = 1; number < pages; number++) {
    const start = number * pageSize
    const type = file[start + 25]
    if (type !== hashPage && type !== unsortedHashPage) continue
    const count = read.u16(start + 20)
    if (headerSize + 2 * count > pageSize) throw new Unreadable('the database has a damaged page')
    const offset = (i: number) => read.u16(start + headerSize + 2 * i)
    // keys and values alternate; an item ends where the one before it starts
    for (let i = 1; i < count; i += 2) {
      const [at, end] = [offset(i), offset(i - 1)]
      if (at >= end || end > pageSize || (file[start + at] === offPage && at + 12 > pageSize))
        throw new Unreadable('the database has a damaged page')
      const kind = file[start + at]
      if (kind === onPage) yield file.subarray(start + at + 1, start + end)
      else if (kind === offPage)
        yield overflow(file, {
          read,
          pageSize,
          pages,
          seen,
          first: read.u32(start + at + 4),
          size: read.u32(start + at + 8),
        })
    }
  }
}

interface Words {
  u16(at: number): number
  u32(at: number): number
}

/** The machine that wrote the file may have had the other byte order. */
function wordReader(file: Buffer): Words | undefined {
  if (file.readUInt32LE(12) === hashMagic)
    return { u16: at => file.readUInt16LE(at), u32: at => file.readUInt32LE(at) }
  if (file.readUInt32BE(12) === hashMagic)
    return { u16: at => file.readUInt16BE(at), u32: at => file.readUInt32BE(at) }
  return undefined
}

function overflow(
  file: Buffer,
  options: { read: Words; pageSize: number; pages: number; seen: Set<number>; first: number; size: number },
): Buffer {
  const { read, pageSize, pages, seen, first, size } = options
  const parts: Buffer[] = []
  let left = size
  for (let number = first; left > 0; ) {
    const start = number * pageSize
    // a circle of pages would never end
    if (number < 1 || number >= pages || seen.has(number) || file[start + 25] !== overflowPage)
      throw new Unreadable('the database has a damaged list of pages')
    seen.add(number)
    const used = Math.min(read.u16(start + 22), pageSize - headerSize, left)
    if (used === 0) throw new Unreadable('the database has a damaged list of pages')
    parts.push(file.subarray(start + headerSize, start + headerSize + used))
    left -= used
    number = read.u32(start + 16)
  }
  return Buffer.concat(parts)
}
