import { Unreadable } from './unreadable.ts'

/**
 * Reads the rows of one table out of an SQLite database (sqlite.org/fileformat2.html) in memory. Not SQLite itself: a database from an image
 * may define views and triggers that never end, and has to be written to a disk for it. Every page is read once at most.
 */

const magic = Buffer.from('SQLite format 3\0')
const interiorPage = 5
const leafPage = 13

interface Pages {
  /** usable bytes of a page */
  usable: number
  page(number: number): Buffer
}

/** Yields the BLOB columns of a table's rows, each row as a list of those. `wal` is the write-ahead log, if there is one. Throws Unreadable. */
export function* tableBlobs(database: Buffer, table: string, wal?: Buffer): Generator<Buffer[]> {
  const pages = pagesOf(database, wal)
  const seen = new Set<number>()
  for (const { columns } of rows(pages, { root: 1, seen })) {
    // sqlite_schema: type, name, tbl_name, rootpage, sql
    if (columns[0] !== 'table' || columns[1] !== table) continue
    const root = columns[3]
    if (typeof root !== 'number' || root < 1) break
    for (const row of rows(pages, { root, seen }))
      yield row.columns.filter((column): column is Buffer => Buffer.isBuffer(column))
    return
  }
  throw new Unreadable(`the database has no table ${table}`)
}

function pagesOf(database: Buffer, wal: Buffer | undefined): Pages {
  if (database.length < 100 || !database.subarray(0, 16).equals(magic))
    throw new Unreadable('it is not an SQLite database')
  const stated = database.readUInt16BE(16)
  const size = stated === 1 ? 65_536 : stated
  if (size < 512 || (size & (size - 1)) !== 0)
    throw new Unreadable('the database has an impossible page size')
  const usable = size - database[20]!
  if (usable < 480) throw new Unreadable('the database has an impossible page size')
  const changed = wal === undefined ? new Map<number, Buffer>() : walPages(wal, size)
  return {
    usable,
    page(number) {
      const found = changed.get(number) ?? database.subarray((number - 1) * size, number * size)
      if (number < 1 || found.length < size) throw new Unreadable('the database refers to a page outside it')
      return found
    },
  }
}

type Column = string | number | Buffer | null

/** The rows of a table B-tree, in the order of their keys. */
function* rows(
  pages: Pages,
  { root, seen }: { root: number; seen: Set<number> },
): Generator<{ columns: Column[] }> {
  const waiting = [root]
  for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
    const page = once(pages, { number, seen })
    const start = number === 1 ? 100 : 0
    const type = page[start]
    if (type !== interiorPage && type !== leafPage) throw new Unreadable('the database has a damaged page')
    const count = page.readUInt16BE(start + 3)
    const pointers = start + (type === interiorPage ? 12 : 8)
    if (pointers + 2 * count > page.length) throw new Unreadable('the database has a damaged page')
    const cells = Array.from({ length: count }, (_, i) => page.readUInt16BE(pointers + 2 * i))
    if (cells.some(at => at + 5 > page.length)) throw new Unreadable('the database has a damaged page')
    if (type === interiorPage) {
      waiting.push(page.readUInt32BE(start + 8), ...cells.map(at => page.readUInt32BE(at)).reverse())
      continue
    }
    for (const at of cells) yield { columns: columnsOf(payload(pages, { page, at, seen })) }
  }
}

function once(pages: Pages, { number, seen }: { number: number; seen: Set<number> }): Buffer {
  // a circle of pages would never end
  if (seen.has(number)) throw new Unreadable('the database refers to a page twice')
  seen.add(number)
  return pages.page(number)
}

/** Section 1.6: what does not fit into the cell is in a list of overflow pages. */
function payload(pages: Pages, { page, at, seen }: { page: Buffer; at: number; seen: Set<number> }): Buffer {
  const { usable } = pages
  const length = varint(page, at)
  const key = varint(page, length.end)
  const largest = usable - 35
  const least = Math.floor(((usable - 12) * 32) / 255) - 23
  const spilled = least + ((length.value - least) % (usable - 4))
  const local = length.value <= largest ? length.value : spilled <= largest ? spilled : least
  const first = page.subarray(key.end, key.end + local)
  if (first.length < local) throw new Unreadable('the database has a damaged page')
  if (local === length.value) return first
  const parts = [first]
  let left = length.value - local
  let next = key.end + local + 4 > page.length ? 0 : page.readUInt32BE(key.end + local)
  while (left > 0) {
    const overflow = once(pages, { number: next, seen })
    const part = overflow.subarray(4, Math.min(usable, 4 + left))
    parts.push(part)
    left -= part.length
    next = overflow.readUInt32BE(0)
  }
  return Buffer.concat(parts)
}

/** Section 2.1, "Record format". */
function columnsOf(record: Buffer): Column[] {
  const header = varint(record, 0)
  const columns: Column[] = []
  let at = header.value
  for (let position = header.end; position < header.value; ) {
    const type = varint(record, position)
    position = type.end
    const size = sizeOf(type.value)
    const bytes = record.subarray(at, at + size)
    if (bytes.length < size) throw new Unreadable('the database has a damaged row')
    at += size
    columns.push(columnOf(type.value, bytes))
  }
  return columns
}

const integerSizes = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0]

function sizeOf(type: number): number {
  return type >= 12 ? Math.floor((type - 12) / 2) : (integerSizes[type] ?? 0)
}

function columnOf(type: number, bytes: Buffer): Column {
  if (type >= 12) return type % 2 === 0 ? bytes : bytes.toString('utf8')
  if (type >= 1 && type <= 5) return bytes.readIntBE(0, bytes.length)
  if (type === 8 || type === 9) return type - 8
  return null
}

/** Seven bits a byte, the ninth whole; a value beyond 53 bits is no length. */
function varint(bytes: Buffer, start: number): { value: number; end: number } {
  let value = 0
  for (let i = 0; i < 9; i++) {
    const byte = bytes[start + i]
    if (byte === undefined) break
    value = i === 8 ? value * 256 + byte : value * 128 + (byte & 0x7f)
    if (value > Number.MAX_SAFE_INTEGER) return { value: Number.MAX_SAFE_INTEGER, end: start + 9 }
    if (i === 8 || byte < 0x80) return { value, end: start + i + 1 }
  }
  throw new Unreadable('the database has a damaged page')
}

/** Section 4: the pages of the last complete transaction. Frames of an earlier use of the file have another salt. */
function walPages(wal: Buffer, pageSize: number): Map<number, Buffer> {
  const committed = new Map<number, Buffer>()
  const start = wal.length < 32 ? 0 : wal.readUInt32BE(0)
  if (start !== 0x377f0682 && start !== 0x377f0683) return committed
  const isBig = start === 0x377f0683
  if (wal.readUInt32BE(8) !== pageSize) return committed
  let sums: [number, number] = checksum(wal.subarray(0, 24), { isBig, from: [0, 0] })
  if (sums[0] !== wal.readUInt32BE(24) || sums[1] !== wal.readUInt32BE(28)) return committed
  const pending = new Map<number, Buffer>()
  for (let at = 32; at + 24 + pageSize <= wal.length; at += 24 + pageSize) {
    const frame = wal.subarray(at, at + 24)
    const page = wal.subarray(at + 24, at + 24 + pageSize)
    if (!frame.subarray(8, 16).equals(wal.subarray(16, 24))) break
    sums = checksum(page, { isBig, from: checksum(frame.subarray(0, 8), { isBig, from: sums }) })
    if (sums[0] !== frame.readUInt32BE(16) || sums[1] !== frame.readUInt32BE(20)) break
    pending.set(frame.readUInt32BE(0), page)
    if (frame.readUInt32BE(4) === 0) continue
    for (const [number, content] of pending) committed.set(number, content)
    pending.clear()
  }
  return committed
}

/** Section 4.2 */
function checksum(
  bytes: Buffer,
  { isBig, from }: { isBig: boolean; from: readonly [number, number] },
): [number, number] {
  let [first, second] = from
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    const [a, b] = isBig
      ? [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
      : [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)]
    first = (first + a + second) >>> 0
    second = (second + b + first) >>> 0
  }
  return [first, second]
}
